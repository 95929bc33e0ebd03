"""Strict emulators of the two platforms' HTTP APIs: what they would have said, without an account.

    settings.py    tokens, ids, the bench mode: all printed at start, all settable
    wire.py        the request an emulator reads, the answer it gives
    clock.py       the emulators' own time; a test may move it
    received.py    what was accepted, repeated, refused; the deduplication windows
    statistics.py  what a platform could tell of the events it received, for those who ask
    faults.py      what can be made to go wrong, and how often
    tiktok.py      POST /open_api/v1.3/event/track/, the credential checks, the pixel's statistics
    pinterest.py   POST /v5/ad_accounts/{id}/events, the credential checks, the Event Quality Score
    audiences.py   who is in an audience, its size that comes late, what changed it
    tiktok_audiences.py     streamed segments, customer files, ad groups
    pinterest_audiences.py  customer lists, audiences, ad groups
    authorisation.py        the pages that ask whether an app may use an account, and the endpoints that give its token
    app.py         both on one port, with /received, /audiences and /control
    serve.py       a server for it; `testing.py` the same inside a test

The emulators judge by the platforms' own facts: the files `pinterest-v5-*.json` are cut from Pinterest's official
description, `tiktok-v13-audiences.json` from the files of TikTok's official SDK; `tiktok-events.json` and
`tiktok-segments.json` are our reading of TikTok's pages. They import nothing of our mapping code,
so that a mistake there cannot hide here.
"""

from __future__ import annotations
