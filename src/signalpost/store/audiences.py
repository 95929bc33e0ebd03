"""Audiences in the database: whom they want, and what the platforms hold."""

from __future__ import annotations
