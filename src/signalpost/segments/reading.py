"""A segment's rule read from the workspace file, every mistake with its line."""

from __future__ import annotations
