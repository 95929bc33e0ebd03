"""Both platforms' implementation checklists as live checks with evidence."""

from __future__ import annotations
