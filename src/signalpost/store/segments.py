"""Segments, memberships, backfills and bounds in the database."""

from __future__ import annotations
