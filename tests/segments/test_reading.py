"""The segment language: what it means, every mistake with its sentence, and that it takes whatever somebody writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost.conditions.plain import marked
from signalpost.marked import Notes, parse
from signalpost.options import UNITS
from signalpost.segments import ladders, reading
from signalpost.segments.ladders import Ladder
from signalpost.segments.language import BOUNDS, LADDER, LINES, MOST_TIMES
from signalpost.segments.operands import Known
from signalpost.segments.rules import Age, All, Happened, Inside, Not, Rule, Some, Split, Trait
from signalpost.sources import reporting
from signalpost.vocabulary import MESSAGE_CHANNELS, MESSAGE_EVENTS, MESSAGE_METRICS

H, D = UNITS["h"], UNITS["d"]
ORDER, CHECKOUT = "Order Completed", "Checkout Started"
KNOWN = Known(aliases={"Bought It": ORDER, "Quiz Finished": "Quiz Finished"}, events=("Quiz Finished", "Third Purchase"))


def at(*day: int, zone: Any = UTC) -> int:
    return round(datetime(*day, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type,misc]


MEANINGS: list[tuple[Any, Rule]] = [
    ({"did": ORDER}, Happened(event=ORDER)),
    ({"did": "Bought It"}, Happened(event=ORDER)),
    ({"did": "orders/paid"}, Happened(event=ORDER)),
    ({"did": "Quiz Finished"}, Happened(event="Quiz Finished")),
    ({"did": "Third Purchase"}, Happened(event="Third Purchase")),
    ({"did": "Email Opened", "where": {"event.properties.machine": {"ne": "true"}}},
     Happened(event="Email Opened", where={"event.properties.machine": {"ne": "true"}})),
    ({"did": ORDER, "within": "14d", "times": 3}, Happened(event=ORDER, within=14 * D, least=3, most=3)),
    ({"did": ORDER, "times": {"gte": 2, "lte": 5}}, Happened(event=ORDER, least=2, most=5)),
    ({"did": ORDER, "times": {"gt": 2, "lt": 5}}, Happened(event=ORDER, least=3, most=4)),
    ({"did": ORDER, "times": {"lte": 2}}, Happened(event=ORDER, least=1, most=2)),
    ({"did": ORDER, "times": {"eq": 2}}, Happened(event=ORDER, least=2, most=2)),
    ({"did": ORDER, "since": CHECKOUT, "within": "1h30m"}, Happened(event=ORDER, since=CHECKOUT, within=90 * 60_000)),
    ({"did": ORDER, "between": ["2026-11-01", "2026-12-01"]},
     Happened(event=ORDER, between=(at(2026, 11, 1), at(2026, 12, 1)))),
    ({"did": ORDER, "between": ["2026-11-01T18:00+01:00", "2026-11-01 18:00"]},
     Happened(event=ORDER, between=(at(2026, 11, 1, 17), at(2026, 11, 1, 18)))),
    ({"did": [ORDER, "Product Added"]}, Some(parts=(Happened(event=ORDER), Happened(event="Product Added")))),
    ({"did": [ORDER, "orders/paid"]}, Happened(event=ORDER)),
    ({"did_not": ORDER, "since": CHECKOUT}, Not(part=Happened(event=ORDER, since=CHECKOUT))),
    ({"did_not": [ORDER, "Email Opened"], "within": "1d"},
     All(parts=(Not(part=Happened(event=ORDER, within=D)), Not(part=Happened(event="Email Opened", within=D))))),
    ({"last": CHECKOUT, "age": "6h..24h"}, Age(event=CHECKOUT, low=6 * H, high=24 * H)),
    ({"last": CHECKOUT, "age": "6h.."}, Age(event=CHECKOUT, low=6 * H)),
    ({"last": CHECKOUT, "age": "..24h"}, Age(event=CHECKOUT, high=24 * H)),
    ({"first": CHECKOUT, "age": {"gte": "6h", "lt": "24h"}}, Age(event=CHECKOUT, first=True, low=6 * H, high=24 * H)),
    ({"last": ORDER, "age": "..1d", "where": {"order.value": {"gt": 100}}},
     Age(event=ORDER, where={"order.value": {"gt": "100"}}, high=D)),
    ({"trait": {"lifetime_value": {"gt": 300}, "traits.plan": "vip"}},
     Trait(when={"person.lifetime_value": {"gt": "300"}, "person.traits.plan": "vip"})),
    ({"trait": {"any": [{"person.orders": 2}, {"not": {"last_order_at": {"age": "0h..24h"}}}]}},
     Trait(when={"any": [{"person.orders": "2"}, {"not": {"person.last_order_at": {"age": "0h..24h"}}}]})),
    ({"trait": {"traits.renews_at": {"gt": "2026-12-01", "exists": True}}},
     Trait(when={"person.traits.renews_at": {"gt": "2026-12-01", "exists": "true"}})),
    ({"last": CHECKOUT, "age": "6h..24h", "did_not": ORDER, "since": CHECKOUT},
     All(parts=(Age(event=CHECKOUT, low=6 * H, high=24 * H), Not(part=Happened(event=ORDER, since=CHECKOUT))))),
    ({"in_segment": "vip"}, Inside(segment="vip")),
    ({"in_segment": ["vip", "lapsed"]}, Some(parts=(Inside(segment="vip"), Inside(segment="lapsed")))),
    ({"customerio_segment": "Spring Sale"}, Trait(when={"person.traits.customerio_segment_spring_sale": "true"})),
    ({"split": "10%"}, Split(salt="own", low=0, high=100_000)),
    ({"split": {"share": "2.5%", "from": "10%", "salt": "x"}}, Split(salt="x", low=100_000, high=125_000)),
    ({"did": ORDER, "in_segment": "vip"}, All(parts=(Happened(event=ORDER), Inside(segment="vip")))),
    ({"all": [{"did": ORDER}, {"in_segment": "vip"}]}, All(parts=(Happened(event=ORDER), Inside(segment="vip")))),
    ({"all": [{"did": ORDER}]}, Happened(event=ORDER)),
    ({"any": [{"did": ORDER}, {"in_segment": "vip"}]}, Some(parts=(Happened(event=ORDER), Inside(segment="vip")))),
    ({"not": {"in_segment": "vip"}}, Not(part=Inside(segment="vip"))),
    ({"not": [{"did": ORDER}, {"in_segment": "vip"}]}, Not(part=Some(parts=(Happened(event=ORDER), Inside(segment="vip"))))),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "rule"), MEANINGS, ids=[str(raw) for raw, _ in MEANINGS])
def test_what_is_written_is_this_rule(raw: Any, rule: Rule) -> None:
    """Each form of the language is this value: names canonical, spans in ms, conditions plain."""
    assert reading.rule(raw, KNOWN, "own") == rule


def test_dates_are_in_the_zone_of_the_workspace() -> None:
    """A date begins at midnight of the workspace's zone, also on the days when clocks are moved; an offset counts for itself."""
    berlin = ZoneInfo("Europe/Berlin")
    raw = {"did": ORDER, "between": ["2026-03-29", "2026-03-30"]}
    assert reading.rule(raw, Known(zone=berlin)) == Happened(event=ORDER, between=(at(2026, 3, 28, 23), at(2026, 3, 29, 22)))
    raw = {"did": ORDER, "between": ["2026-03-29T00:00Z", "2026-03-30T00:00Z"]}
    assert reading.rule(raw, Known(zone=berlin)) == Happened(event=ORDER, between=(at(2026, 3, 29), at(2026, 3, 30)))


MISTAKES: list[tuple[Any, str]] = [
    ({"did": "Order Complete"}, "There is no event `Order Complete`. Did you mean `Order Completed`?"),
    ({"did": "Email Opend"}, "Did you mean `Email Opened`?"),
    ({"did": "Qiz Finished"}, "Did you mean `Quiz Finished`?"),
    ({"did": "Zzz"}, "A shop's own event is declared under `events`, as `Zzz: Zzz` if need be."),
    ({"did": ""}, "`rule.did` is empty; it must be the name of an event."),
    ({"did": {"event": ORDER}}, "`rule.did` is a mapping; it must be the name of an event."),
    ({"did": []}, "`rule.did` is empty."),
    ({"did": ORDER, "within": "14"}, "`rule.within` cannot be `14`: a duration is a number and a unit"),
    ({"did": ORDER, "within": "0d"}, "`rule.within` is empty: nothing happens within no time."),
    ({"did": ORDER, "times": 0}, "cannot be 0: write `did_not` in place of `did`."),
    ({"did": ORDER, "times": {"lt": 1}}, "holds for no number of times: write `did_not` in place of `did`."),
    ({"did": ORDER, "times": {"gte": 5, "lte": 2}}, "holds for no number of times: write a range"),
    ({"did": ORDER, "times": {"gte": "two"}}, "must be a whole number, not `two`"),
    ({"did": ORDER, "times": {"over": 2}}, "`times` takes a number, `gte`, `gt`, `lt`, `lte` or `eq`, not `over`."),
    ({"did": ORDER, "times": MOST_TIMES + 1}, f"must be at most {MOST_TIMES}: so many times are remembered of each person."),
    ({"did": [ORDER, CHECKOUT], "times": 2}, "`times` counts one event"),
    ({"did": ORDER, "since": ORDER}, "`since` names `Order Completed` itself"),
    ({"did": ORDER, "between": "2026-11-01"}, "must be two dates, such as `[2026-11-01, 2026-12-01]`."),
    ({"did": ORDER, "between": ["2026-12-01", "2026-11-01"]}, "is empty: it ends before it begins."),
    ({"did": ORDER, "between": ["1.12.2026", "2026-12-24"]}, "must be a date such as `2026-11-27`"),
    ({"did": ORDER, "between": ["2026-02-30", "2026-12-24"]}, "must be a date such as `2026-11-27`"),
    ({"did": ORDER, "age": "6h..24h"}, "`age` belongs to `last` or `first`, not to `did`. How long ago is said with `within`."),
    ({"last": ORDER, "within": "1d"}, "`within` belongs to `did` or `did_not`, not to `last`. How long ago is said with `age`."),
    ({"last": ORDER}, "`last` needs `age`, such as `age: 6h..24h`, beside it"),
    ({"last": [ORDER, CHECKOUT], "age": "1d.."}, "must be one event"),
    ({"last": ORDER, "age": "6h"}, "must be a window such as `6h..24h`, `6h..` or `..24h`, not `6h`."),
    ({"last": ORDER, "age": ".."}, "must be a window"),
    ({"last": ORDER, "age": "24h..6h"}, "is empty: no age is from 24 hours on and below 6 hours."),
    ({"last": ORDER, "age": {"gt": "6h"}}, "`age` takes `gte` and `lt`, not `gt`"),
    ({"last": ORDER, "age": {"gte": "6h", "lt": "6h"}}, "is empty"),
    ({"did": ORDER, "did_not": CHECKOUT, "within": "1d"}, "Nobody knows whether `within` belongs to `did` or `did_not`"),
    ({"last": ORDER, "first": CHECKOUT, "age": "1d.."}, "Nobody knows whether `age` belongs to `last` or `first`"),
    ({"last": ORDER, "age": "1d..", "did": CHECKOUT, "where": {"order.value": 1}}, "whether `where` belongs to `last` or `did`"),
    ({"in_segment": "vip", "within": "1d"}, "`within` bounds nothing here: write `did` or `did_not` with an event beside it."),
    ({"where": {"order.value": 1}}, "`where` asks something of an event, and no event stands beside it"),
    ({"did": ORDER, "where": {"order.vale": 1}}, "Did you mean `order.value`?"),
    ({"did": ORDER, "where": {"segment": "vip"}}, "`where` looks at the event; write `in_segment: NAME`"),
    ({"did": ORDER, "where": {"any": [{"person.orders": 1}]}}, "write `trait: {orders: ...}` as a rule of its own."),
    ({"did": ORDER, "where": {"order.number": 2}}, "`order.number` is not known when the event comes"),
    ({"did": ORDER, "where": {"event.time": {"age": "1h..2h"}}}, "`where` is asked once, when the event comes"),
    ({"trait": {"lifetme_value": 3}}, "Nothing called `lifetme_value` is known of a person. Did you mean `lifetime_value`?"),
    ({"trait": {"plan": "vip"}}, "A trait that a source gives is written `traits.plan`."),
    ({"trait": {"segment": "vip"}}, "A rule names another segment as `in_segment: NAME`"),
    ({"trait": {"order.value": 1}}, "`trait` asks of the person alone; `order.value` is of an event"),
    ({"trait": {"refund_rate": {"gt": 40}}}, "is compared with a share"),
    ({"trait": "vip"}, "must be a condition"),
    ({"in_segment": "gold"}, "There is no segment `gold`."),
    ({"in_segment": "vp"}, "Did you mean `vip`?"),
    ({"in_segment": "own"}, "The segment `own` names itself."),
    ({"split": "10"}, "must be a share from `0%` to `100%`, not `10`"),
    ({"split": "0%"}, "is a share of nobody"),
    ({"split": "0.00001%"}, "has more than four digits after the point"),
    ({"split": {"share": "60%", "from": "50%"}}, "goes beyond 100%"),
    ({"split": {"salt": "x"}}, "needs `share`"),
    ({"split": {"share": "1%", "seed": "x"}}, "There is no `seed` in a split."),
    ({"segment": "vip"}, "A rule names another segment as `in_segment: NAME`."),
    ({"lifetime_value": {"gt": 300}}, "`lifetime_value` is a line of a condition: write it under `trait:`."),
    ({"order.value": {"gt": 300}}, "`order.value` is a line of a condition: write it under `where:`."),
    ({"didnt": ORDER}, "There is no `didnt` in a rule. Did you mean `did_not`?"),
    ({"all": [{"ladder": ORDER}]}, "a ladder is a whole segment"),
    ({"all": {"did": ORDER}}, "must be a list of rules, such as `- did: Order Completed`."),
    ({"not": "vip"}, "must be a list of rules or one rule"),
    ([{"did": ORDER}], "is a list; write `all:` or `any:` before it"),
    ({}, "must be a rule, such as `did: Order Completed`."),
    ("vip", "must be a rule"),
]


@pytest.mark.parametrize(("raw", "said"), MISTAKES, ids=[str(raw) for raw, _ in MISTAKES])
def test_a_mistake_says_what_to_write(raw: Any, said: str) -> None:
    """Each mistake is told once, with the nearest right word or what to write instead."""
    notes = Notes("")
    known = Known(aliases=KNOWN.aliases, events=KNOWN.events, segments=("vip", "lapsed", "own"))
    assert reading.read(marked(raw, "rule"), notes, known, "own") is None
    assert [said in note.sentence for note in notes.found] == [True], [note.sentence for note in notes.found]


def test_a_mistake_stands_at_its_line() -> None:
    """Every mistake of a rule is told at once, each at the line where it is to be mended."""
    text = """\
rule:
  all:
    - last: Checkout Strted
      age: 24h..6h
    - did_not: Order Completed
      whthin: 3d
    - did: Order Complted
      within: 3
    - any:
        - trait:
            lifetime_value: {gt: much}
        - in_segment: vp
"""
    notes = Notes("")
    root = parse(text, {}, notes)
    assert root is not None
    assert reading.read(root.entries["rule"], notes, Known(segments=("vip",))) is None
    assert [note.line for note in notes.found] == [3, 4, 6, 7, 8, 11, 12]


keys = st.one_of(
    st.sampled_from([*LINES, *BOUNDS, *LADDER, "share", "salt", "from", "gte", "lt", "eq", "order.value", "lifetime_value"]),
    st.text(max_size=6),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 200),
    st.text(max_size=8),
    st.sampled_from([ORDER, CHECKOUT, "6h..24h", "14d", "10%", "vip", "0h-6h a", "2026-11-01", "2026-11-31T25:00", "9999-12-31"]),
)
garbage = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@given(garbage)
def test_no_value_makes_the_reading_raise(raw: Any) -> None:
    """Whatever is written, it is either a rule or there is at least one whole sentence about it, and never both."""
    for read in (reading.read, ladders.read):
        notes = Notes("")
        value = marked(raw, "rule")
        if read is ladders.read and not ladders.is_ladder(value):
            continue
        found = read(value, notes, Known(zone=ZoneInfo("America/New_York")))
        assert (found is None) == bool(notes.found)
        assert all(note.sentence.endswith((".", "?")) for note in notes.found)


def test_every_word_has_an_example_that_reads() -> None:
    """Each word of the language has an example on its page that is a rule and uses it."""
    for word, key in [*LINES.items(), *((name, key) for name, (key, _) in BOUNDS.items())]:
        assert word in key.example
        assert reading.rule(key.example)


def test_every_message_has_a_name() -> None:
    """Each name that a webhook of Customer.io gets is an event that rules can ask for."""
    for channel in ("email", "sms", "whatsapp", "push", "in_app", "slack", "webhook"):
        assert reporting.CHANNELS.get(channel, channel.title()) in MESSAGE_CHANNELS
    metrics = (
        "drafted attempted sent delivered opened clicked converted unsubscribed bounced dropped spammed failed undeliverable"
    )
    assert {metric.title() for metric in metrics.split()} < set(MESSAGE_METRICS)
    assert {"Email Opened", "SMS Clicked", "In-App Clicked", "WhatsApp Replied", "Customer Unsubscribed"} < MESSAGE_EVENTS


# ---- ladders


def read_ladder(raw: Any) -> tuple[Ladder | None, list[str]]:
    notes = Notes("")
    return ladders.read(marked(raw, "cart"), notes, KNOWN), [note.sentence for note in notes.found]


STEPS = ["0h-6h reminder", "6h-24h social_proof", "1d-3d offer", "4d-7d last_call"]


def test_a_ladder_makes_its_tiers_without_a_gap() -> None:
    """Each tier ends where the next begins: `1d-3d` before `4d-7d` is days 1 to 3; the ladder itself is all of them."""
    ladder, said = read_ladder({"ladder": CHECKOUT, "until": [ORDER, "Quiz Finished"], "tiers": STEPS})
    assert said == []
    assert ladder is not None
    assert ladder.tiers == (
        (0, 6 * H, "reminder"), (6 * H, 24 * H, "social_proof"), (D, 4 * D, "offer"), (4 * D, 7 * D, "last_call"),
    )  # fmt: skip
    none = tuple(Not(part=Happened(event=event, since=CHECKOUT)) for event in (ORDER, "Quiz Finished"))
    made = ladders.rules("cart", ladder)
    assert list(made) == ["cart_reminder", "cart_social_proof", "cart_offer", "cart_last_call", "cart"]
    assert made["cart_offer"] == All(parts=(Age(event=CHECKOUT, low=D, high=4 * D), *none))
    assert made["cart"] == All(parts=(Age(event=CHECKOUT, low=0, high=7 * D), *none))


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        (["0h-6h a", "8h-24h b"], "leave a gap between 6h and 8h: a tier ends where the next begins, so write `0h-8h a`"),
        (["0h-6h a", "5h-24h b"], "overlap at 6h and 5h"),
        (["0h-6h a", "0h-24h b"], "overlap at 6h and 0h: a tier ends where the next begins, so begin `b` at 6h."),
        (["0h-24h a", "3d-4d b"], "leave a gap between 24h and 3d"),
        (["0h-1h30m a", "2h-4h b"], "leave a gap between 1h30m and 2h"),
        (["6h-6h a"], "The tier `a` is empty"),
        (["0h-6h a", "6h-24h a"], "Two tiers of `cart` are called `a`."),
        (["0h-6h A"], "The name of a tier is small letters"),
        (["first six hours"], "must be a tier such as `0h-6h reminder`, not `first six hours`."),
        (["6h a"], "must be a tier such as"),
        ([], "needs `tiers`"),
        ("0h-6h a", "needs `tiers`"),
    ],
)
def test_a_gap_or_an_overlap_is_a_mistake(tiers: Any, said: str) -> None:
    """Tiers that do not follow one another are refused with what to write."""
    ladder, sentences = read_ladder({"ladder": CHECKOUT, "tiers": tiers})
    assert ladder is None
    assert [said in sentence for sentence in sentences] == [True], sentences


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"until": CHECKOUT}, "`until` names `Checkout Started` itself"),
        ({"until": "Order Complete"}, "Did you mean `Order Completed`?"),
        ({"untl": ORDER}, "There is no `untl` in a ladder. Did you mean `until`?"),
        ({"in_segment": "vip"}, "write a segment that names its tiers with `in_segment`"),
        ({"ladder": "Checkout Strted"}, "Did you mean `Checkout Started`?"),
    ],
)
def test_a_mistake_of_a_ladder_says_what_to_write(more: dict[str, Any], said: str) -> None:
    """The other lines of a ladder are held to the same measure."""
    ladder, sentences = read_ladder({"ladder": CHECKOUT, "tiers": STEPS, **more})
    assert ladder is None
    assert [said in sentence for sentence in sentences] == [True], sentences


@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["m", "h", "d"]), st.booleans()), min_size=1, max_size=5))
def test_a_ladder_covers_its_whole_window_once(steps: list[tuple[int, str, bool]]) -> None:
    """However its ends are written, the tiers of a ladder that is taken follow one another from its beginning to its end."""
    written, low = [], 0
    for number, (length, unit, wished) in enumerate(steps):
        high = low + length * UNITS[unit]
        last = number == len(steps) - 1
        inclusive = wished and not last and high % UNITS[unit] == 0 and high - UNITS[unit] > low
        end = f"{(high - UNITS[unit]) // UNITS[unit]}{unit}" if inclusive else f"{high // UNITS['m']}m"
        written.append(f"{low // UNITS['m']}m-{end} t{number}")
        low = high
    ladder, said = read_ladder({"ladder": CHECKOUT, "tiers": written})
    assert said == []
    assert ladder is not None
    assert [tier[0] for tier in ladder.tiers[1:]] == [tier[1] for tier in ladder.tiers[:-1]]
    assert (ladder.tiers[0][0], ladder.tiers[-1][1]) == (0, low)
    assert all(begin < end for begin, end, _ in ladder.tiers)
