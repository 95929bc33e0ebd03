"""Findings: what is open by money, filters, what ended, and notes about them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from tests.store.shop import RAW, asked
from tests.web.conftest import Running, now_ms

from signalpost.findings import Finding
from signalpost.store import findings
from signalpost.store.database import Row
from signalpost.web.pages.findings import about

DEAR = Finding(
    kind="double_sending",
    subject="tiktok",
    severity="warning",
    sentence="TikTok will count 12 orders twice.",
    advice="Share one id.",
    link="docs/leaks/duplicates.md",
    share=Decimal("0.1"),
    money=Decimal("512.50"),
    currency="GBP",
    examples=(65536,),
)
BAD = Finding(
    kind="audience_small",
    subject="cart_offer at pinterest",
    severity="problem",
    sentence="The audience is too small.",
    advice="Wait, or make it larger.",
    link="docs/leaks/stale-audiences.md",
)


def open_both(console: Running) -> None:
    """Two findings that are so now."""
    console.shop.write(lambda connection: findings.reconcile(connection, [BAD, DEAR], now_ms()))


def audit(console: Running) -> list[Row]:
    """(at, who, what, subject, note) of every line."""

    def look(connection: Any) -> list[Row]:
        return list(connection.raw.execute("SELECT at, who, what, subject, note FROM audit").fetchall())

    return console.shop.database.look(look)


def test_findings_stand_by_the_money_at_stake(console: Running) -> None:
    """The dearest finding stands first, with sentence, advice, share, page of the leak and examples; the twin says the same."""
    open_both(console)
    with console.client(signed_in=True, role="viewer") as client:
        page, twin = client.get("/findings").text, client.get("/findings.json").json()
    assert page.index("TikTok will count 12 orders twice.") < page.index("The audience is too small.")
    assert "512.50 GBP" in page
    assert "Share one id." in page
    assert "docs/leaks/duplicates.md" in page
    assert 'href="/signals/65536"' in page
    assert [each["kept"]["finding"]["kind"] for each in twin["findings"]] == ["double_sending", "audience_small"]
    assert (twin["open"], twin["problems"], twin["at_stake"]) == (2, 1, {"GBP": "512.50"})
    for each in twin["findings"]:
        assert f'id="finding-{each["kept"]["id"]}"' in page
    assert not any(raw in page for raw in RAW)


def test_the_address_filters(console: Running) -> None:
    """Severity, kind and destination of the address choose; nothing left says how to see all."""
    open_both(console)
    with console.client(signed_in=True) as client:

        def shown(query: str) -> list[str]:
            found = client.get(f"/findings.json?{query}").json()["findings"]
            return [each["kept"]["finding"]["kind"] for each in found]

        assert shown("severity=problem") == ["audience_small"]
        assert shown("kind=double_sending") == ["double_sending"]
        assert shown("destination=pinterest") == ["audience_small"]
        assert shown("destination=pin") == []
        assert "No finding fits these filters." in client.get("/findings?destination=pin").text


def test_what_has_ended_stands_among_the_closed(console: Running) -> None:
    """A finding that is no longer so leaves the open ones, stands among the closed ones, and is counted when it comes again."""
    open_both(console)
    later = now_ms() + 1_000_000
    console.shop.write(lambda connection: findings.reconcile(connection, [BAD], later))
    with console.client(signed_in=True) as client:
        assert [each["title"] for each in client.get("/findings.json").json()["findings"]] == [BAD.title]
    console.shop.write(lambda connection: connection.run("finding_close", now_ms() - 1, 2))
    console.shop.write(lambda connection: connection.run("finding_close", now_ms() - 1, 1))
    console.shop.write(lambda connection: findings.reconcile(connection, [DEAR], now_ms()))
    with console.client(signed_in=True) as client:
        ended = client.get("/findings.json?state=closed&window=24h").json()["findings"]
        again = client.get("/findings.json").json()["findings"]
    assert BAD.title in [each["title"] for each in ended]
    assert again[0]["earlier"] == 1


def test_an_empty_list_says_what_will_stand_there(console: Running) -> None:
    """Without a finding the page says what they are and where to look instead."""
    with console.client(signed_in=True) as client:
        page = client.get("/findings").text
        assert "No finding is open" in page
        assert 'href="/checklist"' in page
        assert "Nothing ended in this time" in client.get("/findings?state=closed").text


def test_a_note_is_kept_and_audited(console: Running) -> None:
    """An operator's note on a finding stands below it and in the audit. Viewers cannot write one, nor a form without token."""
    open_both(console)
    with console.client(signed_in=True, role="operator") as client:
        page = client.get("/findings").text
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        number = re.search(r'action="/findings/(\d+)/note"', page)
        assert token is not None
        assert number is not None
        path = f"/findings/{number[1]}/note"
        assert client.post(path, data={"note": "Ann looks at it"}).status_code == 403
        sent = client.post(path, data={"csrf": token[1], "note": "Ann <b>looks</b> at it"})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/findings#finding-{number[1]}")
        assert "Ann &lt;b&gt;looks&lt;/b&gt; at it" in client.get("/findings").text
        assert client.post("/findings/999/note", data={"csrf": token[1], "note": "x"}).status_code == 404
        assert client.post(path, data={"csrf": token[1], "note": " "}).status_code == 422
    with console.client(signed_in=True, role="viewer") as client:
        page = client.get("/findings").text
        assert "/note" not in page
        assert client.post(path, data={"note": "x"}).status_code == 403
    rows = asked(console.shop.database, "SELECT who, what, subject FROM audit")
    assert ("operator@shop.example", "finding_noted", f"finding {number[1]}") in rows


def test_a_finding_is_about_a_destination_as_a_whole_word() -> None:
    """`tiktok` and `cart at tiktok` are about tiktok; `tiktok2` is not."""
    assert about("tiktok", "tiktok")
    assert about("cart at tiktok", "tiktok")
    assert not about("tiktok2", "tiktok")
