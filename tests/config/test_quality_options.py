"""The options of signal quality: gates, derived events, rollouts, holds, rates and alerts, right and wrong."""

from __future__ import annotations

import msgspec
import pytest

from signalpost import config, rollout
from signalpost.destinations import CATALOG
from signalpost.options import ROLLOUT_MEASURES, bound, duration, number, share, spelt

ENVIRON = {"SECRET": "hush", "SLACK": "slack://TOKENA/TOKENB/TOKENC", "ODD": "slakc://TOKENA/x"}

HEAD = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
sources: {shop: {type: shopify, secret: "${SECRET}"}}
events: {Bought Something: Order Completed, Quiz Finished: Quiz Finished}
destinations:
  tiktok:
    type: tiktok
    pixel: p1
    access_token: ${SECRET}
    events: {Order Completed: Purchase, Product Added: AddToCart, Third Purchase: Subscribe}
"""

GOOD = """\
    browser_pixel: {events: [Order Completed], shares_id: true}
    rollout:
      - send: [Order Completed]
        for: 72h
        until: {accepted: ">= 99%", with_value: ">= 98.5%", duplicates: "<= 1%", latency: "<= 60s", events: ">= 50"}
      - {send: [Product Added, Third Purchase], at_most: {Product Added: 5}}
gates:
  - preset: zero_value
  - {preset: employee, email_domains: [glow.example], mode: observing, destinations: [tiktok]}
  - {reason: Big gift, when: {order.tags: gift, order.value: {gt: 500}}, events: [Order Completed, Quiz Finished, Third Purchase]}
derived:
  First Purchase: {nth_order: 1}
  Third Purchase: {nth_order: 3, where: {order.value: {gt: 0}}}
  Returned After 90 Days: {returned_after: 90d}
  VIP: {lifetime_value: 300}
  Subscription Started: {first: Order Completed, where: {order.tags: subscription}}
holds: {Order Completed: 15m}
repeats: {Product Added: 10m}
rates: {EUR: 1.0842}
alerts: {to: {paid: "${SLACK}"}, quiet: 22:00-07:00}
measurement: {primary: Shopify orders}
"""


def checked(more: str) -> tuple[config.Workspace | None, list[config.Mistake]]:
    workspace, notes = config.check(HEAD + more, ENVIRON, CATALOG)
    return workspace, list(notes)


def test_good_options_are_a_workspace() -> None:
    """Every option of signal quality is read, and comes through JSON as it was."""
    workspace, notes = checked(GOOD)

    assert notes == []
    assert workspace is not None
    again = msgspec.json.decode(msgspec.json.encode(workspace), type=config.Workspace)
    assert again == workspace
    tiktok = again.destinations["tiktok"]
    assert tiktok.pixel is not None
    assert (tiktok.pixel.shares_id, tiktok.settings["pixel"]) == (True, "p1")
    assert [stage.lasts for stage in tiktok.rollout] == ["72h", None]
    assert again.gates[2].when == {"order.tags": "gift", "order.value": {"gt": "500"}}
    assert again.holds == {"Order Completed": "15m"}


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        ("gates: [{preset: zero_valu}]\n", 14, "There is no preset `zero_valu`. Did you mean `zero_value`?"),
        ("gates: [{preset: zero_value, share: 40%}]\n", 14, "The preset `zero_value` has no parameter `share`: it takes none."),
        ("gates:\n  - preset: zero_value\n    when: {order.value: 0}\n", 16, "A preset brings its own `when`"),
        ("gates:\n  - reason: x\n", 15, "`gates[0]` needs either `preset`, a rule by name, or `reason` and `when`"),
        ("gates: [{reason: '!', when: {order.value: 1}}]\n", 14, "needs letters or digits"),
        ("gates: [5]\n", 14, "must hold options of its own, such as `preset: zero_value`"),
        ("gates: [{preset: bot, mode: observe}]\n", 14, "Did you mean `observing`?"),
        ("gates: [{preset: bot, destinations: [tiktk]}]\n", 14, "There is no destination `tiktk`. Did you mean `tiktok`?"),
        ("gates: [{preset: bot, events: [Bought Something]}]\n", 14, "its canonical name is `Order Completed`"),
        ("gates: [{preset: bot, events: [Order Complete]}]\n", 14, "Did you mean `Order Completed`?"),
        (
            "gates:\n  - preset: bot\n  - {preset: bot, mode: observing}\n",
            16,
            "Two gates are called `bot`; the other is on line 15.",
        ),
        ("gates:\n  - preset: bot\n  - {reason: Bot!, when: {event.bot: true}}\n", 16, "Two gates are called `bot`"),
        ("gates:\n  - reason: x\n    when:\n      any:\n        - order.vale: 1\n", 18, "Did you mean `order.value`?"),
        ("gates: [{reason: x, when: {order.value: 1}, orders: 2}]\n", 14, "`orders` belongs to presets"),
        ("gates: [{preset: employee, email_domains: [a@b]}]\n", 14, "must be a mail domain"),
        ("gates: [{preset: heavily_discounted, share: 40}]\n", 14, "must be a share above 0% and up to 100%"),
        ("derived: {Order Completed: {nth_order: 1}}\n", 14, "`Order Completed` is an event of the sources"),
        ("derived: {purchase: {nth_order: 1}}\n", 14, "`purchase` reads as `Order Completed`"),
        ("derived: {Quiz Finished: {nth_order: 1}}\n", 14, "`Quiz Finished` is an event of the shop"),
        ("derived: {X: {nth_order: 1, returned_after: 1d}}\n", 14, "needs exactly one of"),
        ("derived: {X: {}}\n", 14, "needs exactly one of"),
        ("derived: {X: {lifetime_value: -3}}\n", 14, "must be a number above 0"),
        ("derived: {X: {nth_order: 1}, Y: {first: X}}\n", 14, "is a derived event itself"),
        ("derived: {X: {nth_order: 1, where: {segment: vip}}}\n", 14, "There is no segment `vip`."),
        ("holds: {Order Complete: 15m}\n", 14, "There is no event `Order Complete`. Did you mean `Order Completed`?"),
        ("holds: {Order Completed: 15}\n", 14, "a duration is a number and a unit"),
        ("holds: {Order Completed: 60d}\n", 14, "is longer than TikTok"),
        ("rates: {USD: 1}\n", 14, "USD is the workspace's own currency"),
        ("rates: {EUR: 0}\n", 14, "must be a number above 0"),
        ("rates: {Euro: 1}\n", 14, "must be the code of a currency"),
        ("alerts: {quiet: 22-7}\n", 14, "must be hours such as `22:00-07:00`"),
        ("alerts: {to: {paid: 'slack://a/b/c'}}\n", 14, "is a secret and stands in the file"),
        ("alerts: {to: {paid: '${ODD}'}}\n", 14, "nothing answers to. Did you mean `slack`?"),
        ("alerts: {least: all}\n", 14, "must be `problem` or `warning`"),
        ("    rollout: [{send: [Order Completed], until: {accept: '>= 99%'}}]\n", 14, "Did you mean `accepted`?"),
        ("    rollout: [{send: [Order Completed], until: {accepted: '99'}}]\n", 14, "a bound on `accepted` is written `>= 99%`"),
        ("    rollout: [{send: [Order Completed], until: {latency: '>= 1s'}}]\n", 14, "is written `<= 60s`"),
        ("    rollout: [{send: [Checkout Started]}]\n", 14, "`destinations.tiktok` is not told of `Checkout Started`"),
        ("    rollout: [{send: [Order Completed]}, {send: [Order Completed]}]\n", 14, "is sent since line 14 already"),
        ("    rollout: [{send: [Order Completed], at_most: {Cart Viewd: 5}}]\n", 14, "Did you mean `Cart Viewed`?"),
        ("    rollout: [{sent: [Order Completed]}]\n", 14, "Did you mean `send`?"),
        ("    browser_pixel: {events: [Order Complete]}\n", 14, "Did you mean `Order Completed`?"),
        ("    browser_pixel: {share_id: true}\n", 14, "Did you mean `shares_id`?"),
        ("measurement: {primry: x}\n", 14, "Did you mean `primary`?"),
    ],
)
def test_each_mistake_has_its_line_and_sentence(more: str, line: int, said: str) -> None:
    """Each mistake is told once, at its line, with the nearest name or what to write, and there is no workspace."""
    tail = "" if more.startswith("derived") else "derived: {Third Purchase: {nth_order: 3}}\n"
    if more.startswith("derived"):
        more = more.replace("derived: {", "derived: {Third Purchase: {nth_order: 3}, ")
    workspace, notes = checked(more + tail)
    mistakes = [note for note in notes if note.severity == "mistake"]

    assert workspace is None
    assert [(note.line, said in note.sentence) for note in mistakes] == [(line, True)], [str(note) for note in notes]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("gates: [{preset: employee, email_domains: [gmail.com]}]\n", "withholds your customers' events"),
        ("    rollout: [{send: [Order Completed, Product Added, Third Purchase], for: 1d}]\n", "is the last stage"),
        ("    rollout: [{send: [Order Completed]}]\n", "sends `Product Added` and `Third Purchase`: never sent"),
        ("    browser_pixel: {events: [Checkout Started]}\n", "is not told of `Checkout Started` by Signalpost"),
    ],
)
def test_what_is_odd_is_a_warning(more: str, said: str) -> None:
    """What is allowed and probably not meant is told, and the workspace stands."""
    workspace, notes = checked(more + "derived: {Third Purchase: {nth_order: 3}}\n")
    assert workspace is not None
    assert [(note.severity, said in note.sentence) for note in notes] == [("warning", True)]


def test_no_alert_address_is_shown() -> None:
    """An address for alerts is a secret: no sentence repeats it."""
    _, notes = checked("alerts: {to: {paid: '${ODD}'}}\nderived: {Third Purchase: {nth_order: 3}}\n")
    assert "TOKENA" not in str(notes)


def test_a_rollout_measures_what_a_file_can_ask_for() -> None:
    """The measures of the workspace file are those that a rollout has words for."""
    assert set(rollout.MEASURES) == set(ROLLOUT_MEASURES)


@pytest.mark.parametrize(
    ("measure", "text", "exact"),
    [
        ("accepted", ">= 99%", "99/100"),
        ("latency", "<=60s", "60000"),
        ("events", ">= 50", "50"),
        ("duplicates", "<= 0.5 %", "1/200"),
    ],
)
def test_a_bound_is_exact(measure: str, text: str, exact: str) -> None:
    """A bound is read as a share, as milliseconds or as a count, exactly."""
    assert str(bound(measure, text)) == exact


def test_kinds_of_value_are_read_exactly() -> None:
    """Shares need their sign, numbers are plain, and a duration is said as people say it."""
    assert (str(share("40%")), str(number("49.90"))) == ("0.4", "49.90")
    for text in ("40", "101%", "-1%", "4 0%", "٤%"):
        with pytest.raises(ValueError, match="share"):
            share(text)
    for text in ("1e5", "1,5", "", "٤"):
        with pytest.raises(ValueError, match="number"):
            number(text)
    said = {
        "30d": "30 days",
        "24h": "24 hours",
        "48h": "48 hours",
        "1h30m": "1 hour 30 minutes",
        "0s": "0 seconds",
        "50ms": "50 milliseconds",
    }
    assert {text: spelt(duration(text)) for text in said} == said
