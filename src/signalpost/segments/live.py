"""Who is inside a segment at a moment, and when that changes next."""

from __future__ import annotations
