"""A person's orders, folded from claims, refunds and cancellations in any order; what is computed of them."""

from __future__ import annotations
