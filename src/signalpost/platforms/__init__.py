"""Strict emulators of the two platforms' HTTP APIs: what they would have said, without an account.

    settings.py    tokens, ids, the bench mode: all printed at start, all settable
    wire.py        the request an emulator reads, the answer it gives
    clock.py       the emulators' own time; a test may move it
    received.py    what was accepted, repeated, refused; the deduplication windows
    statistics.py  what a platform could tell of the events it received, for those who ask
    faults.py      what can be made to go wrong, and how often
    tiktok.py      POST /open_api/v1.3/event/track/, the credential checks, the pixel's statistics
    pinterest.py   POST /v5/ad_accounts/{id}/events, the credential checks, the Event Quality Score
    app.py         both on one port, with /received and /control
    serve.py       a server for it; `testing.py` the same inside a test

The emulators judge by the platforms' own facts: `pinterest-v5-events.json` is cut from Pinterest's official
description, `tiktok-events.json` is our reading of TikTok's pages. They import nothing of our mapping code,
so that a mistake there cannot hide here.
"""

from __future__ import annotations
