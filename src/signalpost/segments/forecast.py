"""How many enter and leave a segment if nothing happens."""

from __future__ import annotations
