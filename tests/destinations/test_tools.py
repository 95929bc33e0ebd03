"""The shop's own tools: Customer.io as it is described, webhooks that anybody can verify, and addresses that are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from tests.destinations.receiver import Answer, CustomerIO, served

from signalpost import config, mapping, trial
from signalpost.destinations import CATALOG, PLATFORMS, customerio, tools, webhook
from signalpost.destinations.contract import Request
from signalpost.doctor import OF_TOOLS, examine, nothing
from signalpost.errors import ConfigError, TransportError
from signalpost.events import Bought, Event, Order, Person, Signal
from signalpost.transport import PUBLIC_ONLY, Guard, Transport, is_public

NOW = 1_795_341_540_000
HOUR = 3_600_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CIO = {"site_id": "s1", "api_key": "k1"}

RENDER = {name: mapping.compile(CATALOG[name], config.Destination(type=name)) for name in ("customerio", "webhook")}


def moved(person: Person, name: str, segment: str, at: int = NOW, why: str = "Order Completed") -> Signal:
    """Someone who entered or left a segment, as the pipeline tells it."""
    event = Event(
        kind="track",
        source="signalpost",
        message_id=f"{segment}:{person.id}:{at}:{name}",
        time=at,
        received_at=at,
        name=name,
        properties={"segment": segment, "since": at, "why": why},
    )
    return Signal(event=event, name=name, platform_event=name, event_id=event.message_id, person=person, order=Order())


BUYER = Person(
    id=1,
    external_ids={"old": 1, "42": 2},
    emails={"jane.doe@example.com": 5},
    orders={
        "1001": Bought(
            time=NOW - HOUR,
            value=Decimal("49.90"),
            refunded=Decimal(0),
            discount=Decimal(5),
            list_value=Decimal("54.90"),
            cancelled=False,
            refunds=False,
        )
    },
)


async def sent(request: Request) -> tuple[int, bytes]:
    """Send it for real."""
    transport = Transport()
    try:
        response = await transport.send(request)
    finally:
        await transport.close()
    return response.status, response.body


async def told(server: str, signals: list[Signal], test: bool = False, settings: dict[str, str] = CIO) -> list[str]:
    """Tell Customer.io of these; what became of each."""
    transport = Transport()
    try:
        bodies = [RENDER["customerio"](signal) for signal in signals]
        response = await transport.send(customerio.request(settings, server, bodies, test))
    finally:
        await transport.close()
    return [outcome.kind for outcome in customerio.outcomes(response, len(signals))]


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_the_same_however_they_are_written(at: int) -> None:
    """Epoch milliseconds and their ISO 8601 text are one time; what is no time is none."""
    written = tools.moment(at)

    assert written is not None
    assert written.endswith("Z")
    assert tools.instant(written) == tools.instant(at) == at
    assert tools.moment(written) == written
    assert [tools.instant(odd) for odd in (True, None, "soon", "2026-11-22", 1.5, [1])] == [None] * 6


# ---------------------------------------------------------------------------------------------- Customer.io


async def test_customerio_learns_membership_and_facts() -> None:
    """A person has the attributes of their segments and facts afterwards, exactly, and the event is in their log."""
    cio = CustomerIO("s1", "k1")
    with served(cio) as server:
        kinds = await told(server, [moved(BUYER, "Segment Entered", "vip"), moved(BUYER, "Segment Entered", "cart", NOW + 1000)])

    assert kinds == ["accepted", "accepted"]
    assert {
        "signalpost_in_vip": True,
        "signalpost_in_cart": True,
        "signalpost_orders": 1,
        "signalpost_lifetime_value": 49.9,
        "signalpost_average_order_value": 49.9,
        "signalpost_refund_rate": 0,
        "signalpost_discount_rate": pytest.approx(5 / 54.9, abs=1e-6),
        "signalpost_first_order_at": (NOW - HOUR) // 1000,
        "signalpost_last_order_at": (NOW - HOUR) // 1000,
    } == {name: value for name, (value, _) in cio.people["42"].items()}
    assert ["vip", "cart"] == [item["attributes"]["segment"] for _, item in cio.events.values()]


async def test_what_is_told_twice_or_late_changes_nothing() -> None:
    """The same again makes no second event; an entering that is told after the leaving leaves the person outside."""
    cio = CustomerIO("s1", "k1")
    entered, left = moved(BUYER, "Segment Entered", "vip"), moved(BUYER, "Segment Left", "vip", NOW + 5_000)
    with served(cio) as server:
        for signal in (left, entered, entered, left):
            assert ["accepted"] == await told(server, [signal])

    assert cio.people["42"]["signalpost_in_vip"][0] is False
    assert len(cio.events) == 2


async def test_a_bad_one_stops_no_other() -> None:
    """Of a batch the refused event is refused with a sentence, the others are taken; who is known by e-mail is found by it."""
    cio = CustomerIO("s1", "k1")
    by_mail = Person(id=2, emails={"jo@example.com": 1, "jo@new.example": 2})
    good, bad = moved(by_mail, "Segment Entered", "vip"), moved(Person(id=3, external_ids={"x" * 200: 1}), "Segment Left", "vip")
    with served(cio) as server:
        assert ["accepted", "refused", "accepted"] == await told(server, [good, bad, moved(BUYER, "Segment Left", "vip")])
        assert ["refused"] == await told(server, [bad])

    assert set(cio.people) == {"jo@new.example", "42"}


async def test_credentials_are_checked_without_side_effects() -> None:
    """The check tells good from bad credentials, in words, and makes nobody."""
    cio = CustomerIO("s1", "k1")
    transport = Transport()
    with served(cio) as server:
        good = customerio.explain_check(await transport.send(customerio.check(CIO, server, NOW)))
        bad = customerio.explain_check(await transport.send(customerio.check({**CIO, "api_key": "k2"}, server, NOW)))
    await transport.close()

    assert good[0] is True
    assert bad[0] is False
    assert "API key" in bad[1]
    assert not cio.people


def test_customerio_has_no_test_events() -> None:
    """Without an account for tests nothing marked as a test goes there; with one it does."""
    body = RENDER["customerio"](moved(BUYER, "Segment Entered", "vip"))
    with pytest.raises(ConfigError):
        customerio.request(CIO, "http://127.0.0.1:9", [body], True)
    signal = msgspec.structs.replace(moved(BUYER, "Segment Entered", "vip"), test=True)

    assert customerio.objection(signal, CIO) is not None
    assert customerio.objection(signal, {**CIO, "test_account": "yes"}) is None
    assert customerio.request({**CIO, "test_account": "yes"}, "http://127.0.0.1:9", [body], True).body


async def test_the_prefix_is_the_workspaces() -> None:
    """`prefix` stands before every attribute."""
    cio = CustomerIO("s1", "k1")
    with served(cio) as server:
        await told(server, [moved(BUYER, "Segment Left", "vip")], settings={**CIO, "prefix": "sp_"})

    assert all(name.startswith("sp_") for name in cio.people["42"])


@given(time=st.integers(0, 2**47), ids=st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_ids_are_ulids_of_their_own(time: int, ids: list[str]) -> None:
    """Each event has its own ULID, always the same, that sorts by time."""
    event = Event(kind="track", source="s", message_id="m", time=time, received_at=time, name="Segment Left")
    one, other = (Signal(event=event, person=Person(id=1), order=Order(), event_id=each) for each in ids)
    later = Signal(event=msgspec.structs.replace(event, time=time + 1), person=Person(id=1), order=Order(), event_id=ids[0])

    assert customerio.ulid(one) == customerio.ulid(one) != customerio.ulid(other)
    assert len(customerio.ulid(one)) == 26
    assert customerio.ulid(one) < customerio.ulid(later)


# ---------------------------------------------------------------------------------------------- webhooks


def by_hand(secret: str, message: str, timestamp: str, body: bytes) -> str:
    """The signature of the convention, from its text alone."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = message.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_signatures_are_those_of_the_convention() -> None:
    """The convention's published example comes out, by hand and by what signs here."""
    body, message, timestamp = b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    request = webhook._message({"url": "https://example.com", "secret": SECRET}, body, message)
    assert request.stamp is not None

    assert expected == by_hand(SECRET, message, str(timestamp), body)
    assert request.stamp(timestamp * 1000 + 999) == {"webhook-timestamp": str(timestamp), "webhook-signature": expected}


async def test_a_receiver_can_verify_what_it_gets() -> None:
    """Each message verifies by hand and by the official package, keeps its id when it comes again, and is signed anew."""
    got: list[tuple[dict[str, str], bytes]] = []

    def receive(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        got.append((headers, body))
        return (500 if len(got) == 1 else 200), {}

    signal = moved(BUYER, "Segment Entered", "vip")
    with served(receive) as server:
        settings = {"url": f"{server}/hook?a=b", "secret": SECRET, "allow_private": "yes"}
        request = webhook.request(settings, "", [RENDER["webhook"](signal)], False)
        assert [500, 200] == [(await sent(request))[0] for _ in range(2)]

    for headers, body in got:
        assert headers["webhook-signature"] == by_hand(SECRET, headers["webhook-id"], headers["webhook-timestamp"], body)
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
        read: Any = Webhook(SECRET).verify(body, headers)
        assert read["data"]["segment"] == "vip"
        assert read["data"]["person"]["ids"] == ["42", "old"]
        assert read["data"]["person"]["facts"]["lifetime_value"] == 49.9
    assert got[0][0]["webhook-id"] == got[1][0]["webhook-id"]
    assert got[0][1] == got[1][1]


async def test_a_test_message_says_so_and_a_check_is_signed() -> None:
    """In test mode the message carries `test: true` under the same signature rule; the check is a message of its own type."""
    got: list[tuple[dict[str, str], bytes]] = []

    def receive(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        got.append((headers, body))
        return 200, {}

    with served(receive) as server:
        settings = {"url": server, "secret": SECRET, "allow_private": "yes"}
        await sent(webhook.request(settings, "", [RENDER["webhook"](moved(BUYER, "Segment Left", "vip"))], True))
        status, _ = await sent(webhook.check(settings, "", NOW))

    assert status == 200
    assert [True, True] == [json.loads(body)["test"] for _, body in got]
    assert json.loads(got[1][1])["type"] == "signalpost.check"
    for headers, body in got:
        assert headers["webhook-signature"] == by_hand(SECRET, headers["webhook-id"], headers["webhook-timestamp"], body)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_*"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """Nothing is sent unsigned."""
    with pytest.raises(ConfigError):
        webhook.request({"url": "https://example.com", "secret": secret}, "", [b'{"type":"a"}'], False)


# ---------------------------------------------------------------------------------------------- where it may go


HOSTS = ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "169.254.169.254", "10.1.2.3", "[::ffff:7f00:1]"]


@pytest.mark.parametrize("host", HOSTS)
async def test_private_addresses_are_refused(host: str) -> None:
    """An address in our own network is never connected to, by number or by name; the sentence says what to do."""
    request = webhook.request({"url": f"https://{host}:9/", "secret": SECRET}, "", [b'{"type":"a"}'], False)
    with pytest.raises(TransportError, match="allow_private") as caught:
        await sent(request)

    assert caught.value.reached is False


async def test_without_encryption_only_where_it_is_allowed() -> None:
    """Plain http is refused, since what people are told of would be readable on the way."""
    request = webhook.request({"url": "http://example.com/", "secret": SECRET}, "", [b'{"type":"a"}'], False)
    with pytest.raises(TransportError, match="https"):
        await sent(request)


@pytest.mark.parametrize("private", ["yes", "no"])
@pytest.mark.parametrize("host", ["hooks..example.com", f"{'a' * 64}.example.com", "[::1", "bücher..example.com"])
async def test_a_name_that_cannot_be_one_is_told(host: str, private: str) -> None:
    """A mistyped host is an address that was not reached, with a sentence; it is no defect of ours."""
    settings = {"url": f"https://{host}/", "secret": SECRET, "allow_private": private}
    with pytest.raises(TransportError) as caught:
        await sent(webhook.request(settings, "", [b'{"type":"a"}'], False))

    assert caught.value.reached is False


async def test_a_name_is_looked_up_once_and_that_address_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers with a public address first and a private one later (DNS rebinding) gains nothing.

    The request goes to the address that was judged, while Host header and certificate's name stay the name's.
    """
    answers = iter(["93.184.215.14", "127.0.0.1"])
    asked: list[str] = []

    def resolve(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    seen: list[httpx.Request] = []

    def inner(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=Guard(httpx.MockTransport(inner))) as client:
        await client.post("https://hooks.example.com/a", extensions={PUBLIC_ONLY: True})
        with pytest.raises(TransportError):
            await client.post("https://hooks.example.com/a", extensions={PUBLIC_ONLY: True})

    assert asked == ["hooks.example.com"] * 2
    assert len(seen) == 1
    assert (seen[0].url.host, seen[0].headers["host"]) == ("93.184.215.14", "hooks.example.com")
    assert seen[0].extensions["sni_hostname"] == "hooks.example.com"


async def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses is refused for any that is not public."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.215.14", "192.168.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    request = webhook.request({"url": "https://hooks.example.com/", "secret": SECRET}, "", [b'{"type":"a"}'], False)
    with pytest.raises(TransportError, match="private network"):
        await sent(request)


@given(st.ip_addresses(v=4))
def test_no_spelling_makes_a_private_address_public(address: Any) -> None:
    """An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4) is as public as it is by itself."""
    number = int(address)
    groups = f"{number >> 16:x}:{number & 0xFFFF:x}"
    spellings = [f"::ffff:{groups}", f"::{groups}", f"64:ff9b::{groups}", f"2002:{groups}::"]

    assert {is_public(spelling) for spelling in spellings} == {is_public(str(address))}


# ---------------------------------------------------------------------------------------------- what is declared


def test_platforms_are_never_told_of_segments() -> None:
    """Entering and leaving segments is for the shop's own tools: no platform's table has it, every tool's has."""
    for name, declared in CATALOG.items():
        has = {"Segment Entered", "Segment Left"} <= declared.events.keys()
        assert has == (name not in PLATFORMS)
        assert bool({"Segment Entered", "Segment Left"} & declared.events.keys()) == has


HEAD = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
sources: {web: {type: pipelines, write_key: "${KEY}"}}
destinations:
"""


@pytest.mark.parametrize(
    ("secret", "option", "mistake"),
    [
        (SECRET, "url: https://example.com/hook", ""),
        (SECRET, "url: https://example.com/hook, allow_private: yes", ""),
        ("not-a-secret", "url: https://example.com/hook", "secret"),
        (SECRET, "url: ftp://example.com", "url"),
        (SECRET, "url: 'https://u:p@example.com'", "url"),
        (SECRET, "url: https://example.com, allow_private: perhaps", "allow_private"),
    ],
)
def test_what_cannot_work_is_a_mistake_of_the_file(secret: str, option: str, mistake: str) -> None:
    """A secret, an address or a choice of the wrong form is found by `check`, and no secret is repeated."""
    text = f'{HEAD}  hook: {{type: webhook, secret: "${{SECRET}}", {option}}}\n'
    workspace, notes = config.check(text, {"SECRET": secret, "KEY": "k"}, CATALOG)

    wrong = [note for note in notes if note.severity == "mistake"]
    assert (workspace is None) == bool(mistake)
    assert [f"destinations.hook.{mistake}"] * len(wrong) == [note.path for note in wrong]
    assert len(wrong) == bool(mistake)
    assert secret not in str(notes)


async def test_a_try_of_a_webhook_is_one_signed_message() -> None:
    """`send-test` sends a tool no made-up purchase: a webhook gets one message of the check, which its receiver can verify."""
    got: list[tuple[dict[str, str], bytes]] = []

    def receive(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        got.append((headers, body))
        return 200, {}

    with served(receive) as server:
        text = f'{HEAD}  hook: {{type: webhook, secret: "${{SECRET}}", url: "{server}", allow_private: yes}}\n'
        workspace, _ = config.check(text, {"SECRET": SECRET, "KEY": "k"}, CATALOG)
        assert workspace is not None
        shown = await trial.run(workspace, "hook", int(time.time() * 1000))

    assert shown.passed
    ((headers, body),) = got
    told: Any = Webhook(SECRET).verify(body, headers)
    assert told["type"] == "signalpost.check"


def test_tools_are_not_measured_by_what_ads_need() -> None:
    """The checklist asks of a tool whether it is reached, and nothing about purchases, match keys or ads."""
    text = f'{HEAD}  hook: {{type: webhook, secret: "${{SECRET}}", url: https://example.com/hook}}\n'
    workspace, _ = config.check(text, {"SECRET": SECRET, "KEY": "k"}, CATALOG)
    assert workspace is not None
    checked = [each.check for each in examine(workspace, nothing(NOW)) if each.destination == "hook"]

    assert sorted(OF_TOOLS) == sorted(checked)
