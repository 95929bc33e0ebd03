"""How long things take: histograms with logarithmic buckets, and quantiles of them."""

from __future__ import annotations
