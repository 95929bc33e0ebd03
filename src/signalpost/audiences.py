"""Audiences, decisions only: whom one wants, what to add and remove where, in which requests."""

from __future__ import annotations
