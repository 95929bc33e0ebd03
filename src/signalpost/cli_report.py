"""The command that writes the week's report."""

from __future__ import annotations
