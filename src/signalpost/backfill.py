"""New and altered segments brought up to date from the journal, in pieces beside the flow."""

from __future__ import annotations
