"""Pixel beside server: what a platform will make of an order that both report."""

from __future__ import annotations
