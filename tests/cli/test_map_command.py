from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

WORKSPACE = """\
workspace: glow
environment: production
currency: EUR
country: DE
order_value: gross
sources:
  storefront: {type: pipelines, write_key: ${STOREFRONT_KEY}}
  shop: {type: shopify, secret: ${SHOPIFY_SECRET}}
events:
  Bought: Order Completed
  canonical: {Order Completed: shop}
destinations:
  main: {type: tiktok, pixel: '${TIKTOK_PIXEL}', access_token: '${TIKTOK_TOKEN}', events: {Bought: Purchase}}
  other: {type: tiktok, pixel: '${OTHER_PIXEL}', access_token: '${TIKTOK_TOKEN}', paused: true}
"""


def message(number: int, **changes: Any) -> dict[str, Any]:
    """An order of three items, just now."""
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m{number}",
        "userId": f"u{number}",
        "timestamp": datetime.now(UTC).isoformat(),
        "context": {
            "ip": "203.0.113.7",
            "userAgent": "Mozilla/5.0",
            "page": {"url": "https://shop.example/"},
            "traits": {"email": f"Ada{number}@Example.com"},
        },
        "properties": {
            "order_id": f"o{number}",
            "total": 103.5,
            "revenue": 90,
            "tax": 8.5,
            "shipping": 5,
            "currency": "USD",
            "products": [{"product_id": "p-1", "price": 30, "quantity": 3}],
        },
        **changes,
    }


def lines(*messages: Any) -> str:
    return "".join(json.dumps(each) + "\n" for each in messages)


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("platform", "name"), [("tiktok", "Purchase"), ("pinterest", "checkout")])
def test_a_message_becomes_what_would_be_sent(run: Run, platform: str, name: str) -> None:
    """A line becomes the exact event object of the platform, and says whose message it was."""
    (answer,) = told(run("map", platform, stdin=lines(message(1))))

    assert (answer["message_id"], answer["event"], answer["verdict"], answer["reason"]) == (
        "m1",
        "Order Completed",
        "ready",
        None,
    )
    request = answer["request"]
    assert name in {request.get("event"), request.get("event_name")}
    assert abs(request["event_time"] - time.time()) < 120
    assert "Ada1" not in json.dumps(request)


def test_bad_lines_are_reported_and_cost_nothing(run: Run) -> None:
    """Whatever a line holds there is an answer for it, with its number, and the lines after it are mapped."""
    bad = ["nope", "[1]", "{}", '{"type":"track"}', '{"a":1},{"b":2}', "\x00", '"text"', "[" * 200_000, "{" + '"a":{' * 5_000]
    stdin = "\n".join([*bad, "", "  ", json.dumps(message(1))]).encode() + b"\n\xff\xfe\n" + lines(message(2)).encode()
    answers = told(run("map", "tiktok", stdin=stdin))

    assert [answer["line"] for answer in answers] == [*range(1, len(bad) + 1), len(bad) + 3, len(bad) + 4, len(bad) + 5]
    unreadable = [*answers[: len(bad)], answers[-2]]
    assert {(answer["verdict"], answer["reason"]) for answer in unreadable} == {("withheld", "unreadable")}
    assert all(answer["sentence"] and answer["request"] is None for answer in unreadable)
    assert [answer["message_id"] for answer in answers if answer["verdict"] == "ready"] == ["m1", "m2"]


def test_a_line_without_end_is_not_read_whole(run: Run) -> None:
    """A line longer than any message is refused, and the next one is read."""
    stdin = b'{"type":"track","event":"' + b"x" * 3_000_000 + b'"}\n' + lines(message(2)).encode()
    answers = told(run("map", "tiktok", stdin=stdin))
    assert [(answer["line"], answer["verdict"]) for answer in answers] == [(1, "withheld"), (2, "ready")]


def test_every_message_has_an_answer_for_every_platform(run: Run) -> None:
    """Each message and platform make one line, in order; one that sends nothing says why."""
    identify = {"type": "identify", "userId": "u9", "messageId": "m9", "traits": {"email": "nine@example.com"}}
    answers = told(
        run("map", "tiktok", "pinterest", stdin=lines(message(1), message(1), identify, message(3, event="Quiz Done")))
    )

    assert [answer["destination"] for answer in answers] == ["tiktok", "pinterest"] * 4
    assert [answer["reason"] for answer in answers[::2]] == [None, "duplicate_message", "not_a_signal", "not_mapped"]
    assert all((answer["request"] is None) == (answer["verdict"] == "withheld") for answer in answers)
    assert all(answer["sentence"] for answer in answers if answer["verdict"] == "withheld")


def test_earlier_lines_teach_later_ones(run: Run) -> None:
    """What an identify says of a person is sent with the person's next event, as in the real flow."""
    identify = {"type": "identify", "userId": "u1", "messageId": "i1", "traits": {"phone": "+49 30 1234567"}}
    _, with_phone = told(run("map", "tiktok", stdin=lines(identify, message(1))))
    (without,) = told(run("map", "tiktok", stdin=lines(message(1))))
    assert "phone" in with_phone["request"]["user"]
    assert "phone" not in without["request"]["user"]


def test_a_workspace_file_decides_without_its_secrets(run: Run, tmp_path: Path) -> None:
    """With `--config` the file's names, value and destinations count; its environment need not be set."""
    (tmp_path / "shop.yaml").write_text(WORKSPACE)
    answers = told(run("map", "tiktok", "--config", "shop.yaml", stdin=lines(message(1, event="Bought"))))

    assert [(answer["destination"], answer["verdict"], answer["reason"]) for answer in answers] == [
        ("main", "ready", None),
        ("other", "withheld", "paused"),
    ]
    assert answers[0]["event"] == "Order Completed"
    assert answers[0]["request"]["properties"]["value"] == 103.5

    done = run("map", "pinterest", "--config", "shop.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("shop.yaml has no destination of the platform `pinterest`.")


def test_a_wrong_workspace_file_is_told(run: Run, tmp_path: Path) -> None:
    """A file with mistakes is told with its lines and exit code 1, before any line is read."""
    (tmp_path / "shop.yaml").write_text(WORKSPACE.replace("EUR", "EURO").replace("gross", "grosss"))
    done = run("map", "tiktok", "--config", "shop.yaml", stdin=lines(message(1)))
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == ["shop.yaml:3:", "shop.yaml:5:"]


def test_the_same_lines_give_the_same_bytes(run: Run) -> None:
    """Mapping is a function of its lines."""
    stdin = lines(*(message(number) for number in range(20)))
    assert run("map", "tiktok", stdin=stdin).stdout == run("map", "tiktok", stdin=stdin).stdout


def test_nothing_in_nothing_out(run: Run) -> None:
    """No lines, no answers, no error."""
    assert told(run("map", "tiktok")) == []
