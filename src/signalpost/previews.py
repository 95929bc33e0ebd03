"""A rule asked of history through DuckDB, before it is a segment."""

from __future__ import annotations
