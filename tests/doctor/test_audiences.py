"""Whether buyers are kept from ads, and whether paid windows fit the journeys, as the checklist answers it."""

from __future__ import annotations

from typing import Any

from tests.findings.watched import DAY, HOUR, NOW, workspace

from signalpost import doctor, findings
from signalpost.doctor import Checked
from signalpost.findings import Figures, Synced
from signalpost.options import Audience, Journey, Step

SEGMENTS: dict[str, Any] = {
    "recent_buyers": {"did": "Order Completed", "within": "14d"},
    "hasty": {"did": "Order Completed", "within": "2d"},
    "abandoned": {
        "all": [{"last": "Checkout Started", "age": "0h..24h"}, {"did_not": "Order Completed", "since": "Checkout Started"}]
    },
    "viewers": {"did": "Product Viewed", "within": "3d"},
}
SUPPRESS = Audience(segment="recent_buyers", to=("tiktok",), use="suppress")
TARGET = Audience(segment="abandoned", to=("tiktok",), use="target")
KEPT = Synced(name="recent_buyers", destination="tiktok", members=5_000, loaded_at=NOW - 9 * DAY, synced_at=NOW - HOUR)
QUICK = {("suppressed", "tiktok"): {1_000: 100}}


def examined(check: str, *chosen: Audience, journeys: Any = None, destination: str = "tiktok", **figures: Any) -> Checked:
    """One line of the checklist, for these audiences and figures."""
    shop = workspace(segments=SEGMENTS, audiences=chosen, journeys=journeys or {})
    seen = Figures(now=NOW, **figures)
    evidence = doctor.Evidence(figures=seen, found=tuple(findings.find(seen, shop)))
    return next(each for each in doctor.examine(shop, evidence) if (each.check, each.destination) == (check, destination))


def test_without_audiences_nothing_is_known() -> None:
    """Nobody is targeted and nobody suppressed: the platform's own ad groups may do either."""
    for check in ("suppression", "windows"):
        assert examined(check).state == "not yet known"
    assert examined("suppression", SUPPRESS, TARGET, destination="pinterest").state == "not yet known"


def test_ads_without_suppression_fail() -> None:
    """Targets without an audience that holds buyers, or an intent audience that keeps them, fail with what to do."""
    bare = examined("suppression", TARGET)
    assert (bare.state, "no audience keeps recent buyers" in bare.sentence) == ("fail", True)
    keeping = examined("suppression", SUPPRESS, Audience(segment="viewers", to=("tiktok",), use="target"), audiences=(KEPT,))
    assert (keeping.state, "nobody leaves it by buying" in keeping.sentence) == ("fail", True)
    assert keeping.advice


def test_suppression_passes_on_evidence() -> None:
    """Not before the platform has it; then with how long, how soon, and how many."""
    assert examined("suppression", SUPPRESS, TARGET).state == "not yet known"
    assert examined("suppression", SUPPRESS, TARGET, audiences=(Synced(name="recent_buyers", destination="tiktok"),)).state == (
        "not yet known"
    )
    told = examined("suppression", SUPPRESS, TARGET, audiences=(KEPT,), clocks=QUICK)
    assert told.state == "pass"
    assert "for 14 days" in told.sentence
    assert "100 buyers" in told.sentence
    assert told.counts == {"suppressing": 1, "members": 5_000, "pending": 0}
    assert told.age_ms == HOUR
    quiet = examined("suppression", SUPPRESS, TARGET, audiences=(KEPT,))
    assert (quiet.state, "nobody bought" in quiet.sentence) == ("pass", True)


def test_what_keeps_suppression_from_working() -> None:
    """A stopped audience, waiting buyers and a slow clock fail or warn; a short cooldown warns."""
    broken: list[tuple[dict[str, Any], str]] = [
        ({"audiences": (Synced(name="recent_buyers", destination="tiktok", state="gone"),)}, "fail"),
        ({"audiences": (Synced(name="recent_buyers", destination="tiktok", pending=3, oldest=NOW - HOUR),)}, "fail"),
        ({"audiences": (KEPT,), "clocks": {("suppressed", "tiktok"): {1_000: 950, 600_000: 50}}}, "warn"),
        ({"audiences": (Synced(name="recent_buyers", destination="tiktok", members=12, loaded_at=NOW - DAY),)}, "fail"),
    ]
    for figures, state in broken:
        told = examined("suppression", SUPPRESS, TARGET, **figures)
        assert (told.state, bool(told.advice)) == (state, True), figures
    hasty = Audience(segment="hasty", to=("tiktok",), use="suppress")
    short = Synced(name="hasty", destination="tiktok", members=5_000, loaded_at=NOW - 9 * DAY, synced_at=NOW)
    told = examined("suppression", hasty, TARGET, audiences=(short,), clocks=QUICK)
    assert (told.state, "48 hours" in told.sentence) == ("warn", True)


def test_windows_are_held_against_journeys() -> None:
    """Without a journey nothing is known; a clash warns and says how many more there are; none passes on the file alone."""
    cart = {"cart": Journey(starts="Checkout Started", ends=("Order Completed",), after="12h", steps=(Step(at="1h"),))}
    assert examined("windows", SUPPRESS, TARGET).state == "not yet known"
    assert examined("windows", SUPPRESS, journeys=cart).state == "not yet known"
    clash = examined("windows", SUPPRESS, TARGET, journeys=cart)
    assert clash.state == "warn"
    assert "until 24 hours" in clash.sentence
    assert "1 more" in clash.sentence
    assert clash.counts["against a journey"] == 2
    fits = Audience(segment="abandoned", to=("tiktok",), use="target", while_in={"cart": "none"})
    told = examined("windows", SUPPRESS, fits, journeys=cart)
    assert (told.state, told.at) == ("pass", None)
