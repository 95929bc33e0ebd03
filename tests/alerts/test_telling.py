"""Messages that really arrive: at a webhook, at a mail server, later where an address was down, and never with a secret."""

from __future__ import annotations

import io
import logging
import socket
from email.message import Message as Letter
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.alerts.conftest import MailServer, Webhook
from tests.laws.flow import workspace

from signalpost import alerts
from signalpost.alerts import Messenger
from signalpost.config import Workspace
from signalpost.findings import Finding
from signalpost.options import Alerts
from signalpost.store import findings
from signalpost.store.database import Database

NOW = 1_795_305_600_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

LATE = Finding(
    kind="late_source",
    subject="web",
    severity="warning",
    sentence="web tells 12% of its events later than an hour.",
    advice="Send events as they happen.",
    link="docs/leaks/late-events.md",
)
REFUSED = Finding(
    kind="refused",
    subject="tiktok",
    severity="problem",
    sentence="TikTok refuses 31% of signals: <unknown pixel> & more :smile:.",
    advice="Check the pixel.",
    link="docs/leaks/README.md",
)


def file(to: dict[str, str], **options: str) -> Workspace:
    return workspace(alerts=Alerts(to=to, **options), timezone="Europe/Berlin")  # type: ignore[arg-type]  # texts as in the file


def found(database: Database, now: int, *seen: Finding) -> None:
    database.submit(lambda connection: findings.reconcile(connection, seen, now)).result()


def told_at(database: Database) -> list[int | None]:
    kept = database.look(lambda connection: findings.between(connection, 0, NOW + 90 * DAY))
    return [each.alerted_at for each in sorted(kept, key=lambda each: each.id)]


async def test_a_webhook_gets_one_message_once(database: Database, webhook: Webhook) -> None:
    """Gathered, not repeated while open, told as over at the end."""
    messenger = Messenger(file({"ops": webhook.address}))
    found(database, NOW, LATE, REFUSED)
    assert await messenger.tell(database, NOW + MINUTE) is None
    for minute in range(5, 30):
        await messenger.tell(database, NOW + minute * MINUTE)
    assert len(webhook.received) == 1
    assert webhook.received[0]["title"] == "laws: 1 problem, 1 warning"
    assert webhook.received[0]["type"] == "failure"
    text = webhook.received[0]["message"]
    assert text.index("PROBLEM: TikTok refuses 31% of signals: <unknown pixel> & more :smile:.") < text.index(
        "WARNING: web tells"
    )
    assert "since Sun 22 Nov 01:00" in text
    assert told_at(database) == [NOW + 5 * MINUTE] * 2

    found(database, NOW + HOUR, LATE)
    assert await messenger.tell(database, NOW + HOUR + 4 * MINUTE) is None
    await messenger.tell(database, NOW + HOUR + 5 * MINUTE)
    assert await messenger.tell(database, NOW + HOUR + 30 * MINUTE) is None
    assert [each["title"] for each in webhook.received] == ["laws: 1 problem, 1 warning", "laws: 1 over"]
    assert webhook.received[1]["type"] == "success"


async def test_a_mail_arrives(database: Database, mail: MailServer) -> None:
    """From, to, subject and text of a message that a real mail server took."""
    messenger = Messenger(file({"team": mail.address}))
    found(database, NOW, REFUSED)
    assert await messenger.tell(database, NOW + 5 * MINUTE) is not None
    (letter,) = mail.received
    assert letter["Subject"] == "laws: 1 problem"
    assert "signalpost@glow.example" in letter["From"]
    assert "team@glow.example" in letter["To"]
    assert "TikTok refuses 31% of signals: <unknown pixel> & more :smile:." in text_of(letter)


def text_of(letter: Letter) -> str:
    """The plain part of a letter."""
    part = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
    return part.get_payload(decode=True).decode()  # type: ignore[union-attr]


async def test_an_address_that_was_down_gets_its_message_later(database: Database, webhook: Webhook) -> None:
    """The others are told at once and only once; the failing one is asked at growing distances, and gets everything in order."""
    down = Webhook()
    down.status = 503
    try:
        messenger = Messenger(file({"ops": webhook.address, "team": down.address}))
        found(database, NOW, LATE)
        with capture_logs() as said:
            await messenger.tell(database, NOW + 5 * MINUTE)
            await messenger.tell(database, NOW + 5 * MINUTE + 30_000)
            await messenger.tell(database, NOW + 6 * MINUTE)
        assert [(line["address"], line["why"], line["again_in_seconds"]) for line in said] == [
            ("team", "It answered 503.", 60),
            ("team", "It answered 503.", 120),
        ]
        assert told_at(database) == [NOW + 5 * MINUTE]
        found(database, NOW + 6 * MINUTE, LATE, REFUSED)
        down.status = 200
        await messenger.tell(database, NOW + 7 * MINUTE)
        assert down.received == []
        await messenger.tell(database, NOW + 12 * MINUTE)
        assert [each["title"] for each in down.received] == ["laws: 1 warning", "laws: 1 problem"]
        assert [each["title"] for each in webhook.received] == ["laws: 1 warning", "laws: 1 problem"]
    finally:
        down.close()


async def test_when_nobody_takes_a_message_it_is_due_again(database: Database, webhook: Webhook) -> None:
    """Nothing is noted as told; once the address works it is told what is then so, in one message."""
    webhook.status = 500
    messenger = Messenger(file({"ops": webhook.address}))
    found(database, NOW, LATE)
    with capture_logs() as said:
        assert await messenger.tell(database, NOW + 5 * MINUTE) is None
    assert len(said) == 1
    assert told_at(database) == [None]
    webhook.status = 200
    found(database, NOW + 6 * MINUTE, LATE, REFUSED)
    assert await messenger.tell(database, NOW + 6 * MINUTE) is not None
    assert [each["title"] for each in webhook.received] == ["laws: 1 problem, 1 warning"]


async def test_quiet_hours_hold_everything_back_until_the_morning(database: Database, webhook: Webhook) -> None:
    """At 01:00 in Berlin nothing is sent; at 07:00 one message tells of all the night."""
    messenger = Messenger(file({"ops": webhook.address}, quiet="22:00-07:00"))
    found(database, NOW, REFUSED)
    for minutes in (5, 60, 359):
        assert await messenger.tell(database, NOW + minutes * MINUTE) is None
    found(database, NOW + 2 * HOUR, LATE)
    assert webhook.received == []
    assert await messenger.tell(database, NOW + 6 * HOUR) is not None
    assert [each["title"] for each in webhook.received] == ["laws: 1 warning, 1 over"]


async def test_without_addresses_nothing_happens(database: Database) -> None:
    """Nobody to tell: nothing is noted as told."""
    found(database, NOW, REFUSED)
    assert await Messenger(file({})).tell(database, NOW + HOUR) is None
    assert told_at(database) == [None]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "address",
    [
        "json://hook:geheim-hook@127.0.0.1:{port}/in/T0KEN",
        "mailto://geheim-user:geheim-hook@127.0.0.1:{port}?from=a@glow.example&to=T0KEN@glow.example",
        "slack://T0KEN/geheim-hook",
        "mailto://geheim-hook",
        "nosuch://geheim-hook@T0KEN",
    ],
)
def test_what_goes_wrong_is_told_without_the_address(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Refused, unreachable or not understood: a sentence, and neither it nor any log holds a part of the address."""
    logged = logging.StreamHandler(io.StringIO())
    root = logging.getLogger()
    root.addHandler(logged)
    try:
        answers = alerts.trial(file({"ops": address.format(port=closed_port())}))
    finally:
        root.removeHandler(logged)
    assert list(answers) == ["ops"]
    why = answers["ops"]
    assert why is not None
    heard: Any = capfd.readouterr()
    for text in (why, heard.out, heard.err, logged.stream.getvalue()):
        for secret in ("geheim", "T0KEN", "127.0.0.1", "glow.example"):
            assert secret not in text


def test_a_trial_tells_of_each_address_whether_it_works(webhook: Webhook) -> None:
    """One message to each address, whatever the others do."""
    answers = alerts.trial(file({"ops": webhook.address, "team": f"json://127.0.0.1:{closed_port()}"}))
    assert answers == {"ops": None, "team": "It could not be reached, or it refused the message."}
    assert [each["title"] for each in webhook.received] == ["laws: a test"]
