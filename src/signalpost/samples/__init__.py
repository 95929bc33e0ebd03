"""Real shop data in small files, and the traffic that a shop with these orders would send.

- `shop` reads a year of real orders and cancellations (UCI Online Retail, CC BY 4.0).
- `traffic` turns them into the messages the shop's website and back office would send.
- `README.md` says what is real, what is derived, and under which licence.
"""

from __future__ import annotations
