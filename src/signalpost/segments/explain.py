"""Why somebody is in a segment or out of it, and what changes next."""

from __future__ import annotations
