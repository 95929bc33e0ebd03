"""TikTok's own codes, in classes: what comes again, what a person must set right, what these credentials may not.

From the code enum of TikTok's Python SDK (2023) and what integrators report; the official appendix says no more.
Codes whose class differs between sources are held back rather than dropped.
"""

from __future__ import annotations

from typing import Final

RETRIES: Final = {
    40016: "TikTok takes no more of these requests for the moment.",
    40100: "TikTok takes no more requests for the moment.",
    40132: "TikTok takes no more requests for the moment.",
    40133: "TikTok takes no more requests of this advertiser for the moment.",
    60001: "TikTok is under maintenance.",
    61000: "TikTok takes no more requests for the moment.",
}
"""TikTok did not look at the events."""

TROUBLES: Final = {
    40200: "A task inside TikTok failed.",
    40201: "A task inside TikTok is not ready.",
    40202: "Two writes inside TikTok were in each other's way.",
    40700: "A service inside TikTok refused the request.",
    50000: "TikTok has trouble of its own.",
    50002: "TikTok took too long inside.",
}
"""TikTok failed; it may have taken the events first. All other codes from 50000 to 59999 are of this kind."""

BLOCKS: Final = {
    40001: "The access token may not send to this pixel: the person who made it must be admin or operator of the "
    "account, and the pixel code must be right.",
    40003: "TikTok forbids this access token to send here.",
    40006: "TikTok no longer knows this version of its API: update Signalpost.",
    40007: "TikTok knows no such pixel: check the pixel code.",
    40008: "TikTok no longer offers this: update Signalpost.",
    40009: "TikTok's sandbox does not take events: use test_code instead.",
    40010: "TikTok does not take events at this address: check the endpoint.",
    40013: "TikTok's sandbox does not know this advertiser.",
    40051: "TikTok no longer knows this version of its API: update Signalpost.",
    40063: "TikTok does not know the partner name: take partner_name out of the workspace file.",
    40101: "TikTok does not accept the app behind the access token.",
    40102: "The access token has expired: make a new one in Events Manager.",
    40103: "The access token has expired: make a new one in Events Manager.",
    40104: "There is no access token: check that the environment variable is set.",
    40105: "The access token is wrong: copy it again from Events Manager, without the word Bearer.",
    40106: "The access token belongs to nobody TikTok knows.",
    40107: "The access token is no longer good: make a new one in Events Manager.",
    40108: "The access token is no longer good: make a new one in Events Manager.",
    40110: "The access token is no longer good: make a new one in Events Manager.",
    40113: "TikTok has closed the app behind the access token.",
    40115: "TikTok does not accept the access token.",
    40116: "TikTok does not accept the access token.",
    40117: "The app behind the access token may not send events.",
    40118: "The app behind the access token is not on TikTok's list for this.",
    40124: "TikTok has not approved the developer behind the access token.",
    40125: "The access token may not do this.",
    40130: "The access token lacks the permission to report conversion events.",
    40300: "TikTok knows no such advertiser.",
    40301: "The person behind the access token has no role at this advertiser.",
    40302: "TikTok knows no such advertiser.",
    40400: "TikTok knows no such address: check the endpoint.",
    41000: "TikTok has blocked this.",
    41001: "TikTok has taken this interface offline: update Signalpost.",
    41002: "TikTok has taken fields of this interface offline: update Signalpost.",
    70001: "TikTok does not accept this kind of access token.",
}
"""Nothing can be sent until a person acts; the signals are kept."""

MAY_NOT: Final = frozenset({40001, 40003, 40101, 40117, 40118, 40124, 40125, 40130, 40301, 70001})
"""Codes that say these credentials may not read, while they may be good for sending."""
