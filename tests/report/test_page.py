"""The report's page: one file that needs nothing else, with every figure in words or a table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from email.header import decode_header, make_header
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess
from xml.etree import ElementTree as ET

import pytest
from tests.alerts.conftest import MailServer, Webhook
from tests.report import weeks

from signalpost import charts, purchases
from signalpost.store.database import Database
from signalpost.web import report, words

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "source"}
LOADS = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form", "image", "use"}


class Reading(HTMLParser):
    """Reads a page as strictly as it is written: each element is closed, in order, and nothing is loaded from anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in LOADS, tag
        for name, value in attrs:
            assert name not in {"src", "srcset", "href", "xlink:href", "action", "background", "poster", "data"}, (tag, name)
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reading:
    """The page, read."""
    reading = Reading()
    reading.feed(page)
    reading.close()
    assert reading.open == []
    assert len(reading.ids) == len(set(reading.ids))
    return reading


@pytest.fixture
def made(tmp_path: Path) -> Iterator[report.Report]:
    """The report of the second of two weeks."""
    database = Database(str(tmp_path / "signalpost.db"))
    weeks.fill(database)
    chosen = weeks.workspace(database.address)
    period = report.period_of_week("2026-W47", words.zone(chosen.timezone), weeks.NOW + 60_000)
    assert period is not None
    yield database.look(lambda connection: report.gather(connection, chosen, period, weeks.NOW + 60_000))
    database.close()


def test_the_page_needs_nothing_else(made: report.Report) -> None:
    """The page loads nothing, runs nothing, names no other host, and every element is closed where it should be."""
    page = report.page(made)
    read(page)
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert "@import" not in style
    assert "url(" not in style
    assert [address for address in re.findall(r"https?://[^\s\"<]+", page) if address != "http://www.w3.org/2000/svg"] == []
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == len(report.drawn(made)) >= 5
    for drawing in drawings:
        assert ET.fromstring(drawing).get("aria-label")


def test_every_figure_stands_on_the_page(made: report.Report) -> None:
    """Orders, values, verdicts, reasons, quantiles, scores, findings and the platforms' counts are on the page as read."""
    text = re.sub(r"\s+", " ", " ".join(read(report.page(made)).text))
    expected = [made.summary]
    for known in made.known:
        expected += [str(known.orders), words.total(known.value, known.currency)]
    for purchase in made.purchases:
        expected += [words.total(purchase.accepted.value, purchase.currency), str(purchase.accepted.orders)]
    for volume in made.volumes:
        expected += [volume.name, str(sum(volume.verdicts.values()))]
    for kept in (*made.withheld, *made.failed, *made.duplicates):
        expected += [kept.sentence, str(kept.signals), words.amounts(kept.value)]
    for speed in made.speeds:
        expected += [words.took(speed.clock.p50), words.took(speed.clock.p95), words.took(speed.clock.p99)]
    for score in made.scores:
        expected.append(f"{score.matched.score:.0f}")
    for each in (*made.trials, *made.after):
        expected += [words.total(each.value, each.currency), words.percent(each.share)]
    for finding in (*made.open, *made.closed):
        expected += [finding.finding.title, finding.finding.sentence]
    expected += [marker.sentence for marker in made.markers]
    expected += [str(each.server) for each in made.beside]
    for day in made.daily:
        expected.append(words.total(day.known, ""))
    missing = [each for each in expected if each not in text]
    assert missing == []


def test_the_summary_says_the_week_in_plain_words(made: report.Report) -> None:
    """The first paragraph names orders and value, each platform's share, what was kept back, the hold, and the first finding."""
    for part in (
        "Signalpost heard of 48 orders worth",
        "more than in the time before",
        "TikTok has accepted",
        "Pinterest has accepted",
        "that had been told already were kept back",
        "The observing gate “heavily discounted” would withhold",
        "is your own hold",
        "2 findings are open, with up to 212.40 GBP at stake",
    ):
        assert part in made.summary


def test_orders_without_a_value_are_orders(tmp_path: Path) -> None:
    """Orders of which no source gave a value are told of as such, and no platform's share of nothing is."""
    database = Database(str(tmp_path / "signalpost.db"))
    shop = weeks.Weeks(database)
    at = weeks.NOW - weeks.HOUR
    number = shop.event("Order Completed", at, {"tiktok": ("withheld", "missing_value")}, order_id="N-1")
    shop.order("N-1", number, purchases.Record(claims={"web": weeks.claim("web", number, at, None)}))
    shop.write()
    chosen = weeks.workspace(database.address)
    period = report.period_of_days(1, words.zone(chosen.timezone), weeks.NOW)
    made = database.look(lambda connection: report.gather(connection, chosen, period, weeks.NOW))
    database.close()
    assert made.summary.startswith("Signalpost heard of 1 event and of 1 order, none with a value. No finding is open.")
    text = " ".join(read(report.page(made)).text)
    assert "no value known" in text
    assert "The purchase has no value the platform could learn from." in text


def test_an_empty_database_says_what_to_do_next(tmp_path: Path) -> None:
    """Before the first event the page holds no figure, only what to do."""
    database = Database(str(tmp_path / "signalpost.db"))
    chosen = weeks.workspace(database.address)
    period = report.period_of_days(7, words.zone(chosen.timezone), weeks.NOW)
    made = database.look(lambda connection: report.gather(connection, chosen, period, weeks.NOW))
    database.close()
    page = report.page(made)
    reading = read(page)
    text = " ".join(reading.text)
    assert made.summary == "Nothing arrived in this time."
    assert "What to do next" in text
    assert "signalpost check" in text
    assert "<svg" not in page
    assert not {"purchases", "volumes", "speed", "keys", "withheld", "duplicates"} & set(reading.ids)


def test_what_a_source_says_is_text_and_masked(tmp_path: Path) -> None:
    """An order id that is markup is shown as it is written; one that is somebody's address is masked."""
    database = Database(str(tmp_path / "signalpost.db"))
    shop = weeks.Weeks(database)
    for order_id in ("<script>alert(1)</script>", "margarethe@private.example"):
        at = weeks.NOW - weeks.HOUR
        number = shop.event("Order Completed", at, {"tiktok": ("accepted", None)}, order_id=order_id, value=Decimal(10))
        claims = {source: weeks.claim(source, number, at, value) for source, value in (("web", "10"), ("shop", "8"))}
        shop.order(order_id, number, purchases.Record(claims=claims))
    shop.write()
    chosen = weeks.workspace(database.address)
    period = report.period_of_days(1, words.zone(chosen.timezone), weeks.NOW)
    made = database.look(lambda connection: report.gather(connection, chosen, period, weeks.NOW))
    database.close()
    page = report.page(made)
    read(page)
    assert len(made.disagreements) == 2
    assert "&lt;script&gt;" in page
    assert "margarethe" not in page


@pytest.mark.parametrize("draw", [charts.bars, charts.stacked, charts.lines], ids=["bars", "stacked", "lines"])
def test_a_chart_is_bare_svg_with_words(draw: Callable[..., str]) -> None:
    """A chart carries no script, no style and no link; each mark has its words, with names escaped; the rest is left out."""
    series = [("kept <b>", "withheld", [1.0, None, 3.0]), ("sent", "accepted", [2.5, 0.0, 1.0])]
    text = str(draw(["Mon 1, 6:00", "Tue 2", "Wed 3"], series, alt="Signals & more", say=lambda value: f"{value:g} signals"))
    drawing = ET.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in drawing.iter()}
    assert not tags & {"script", "style", "desc", "a", "image", "defs"}
    assert not any(name in {"style", "id", "href"} or name.startswith("on") for each in drawing.iter() for name in each.keys())  # noqa: SIM118
    titles = [each.text for each in drawing.iter() if each.tag.endswith("title")]
    assert "Mon 1, 6:00: kept <b> 1 signals" in titles
    assert "Wed 3: sent 1 signals" in titles
    assert drawing.get("aria-label") == "Signals & more"
    labels = [each.text for each in drawing.iter() if each.tag.endswith("text")]
    assert "Mon 1" in labels


def test_many_labels_are_thinned() -> None:
    """Of more labels than fit only some are written; the marks keep all of theirs."""
    text = str(charts.lines([f"day {n}" for n in range(60)], [("a", "a", [float(n) for n in range(60)])], alt="x", say=str))
    drawing = ET.fromstring(text)
    labels = [each.text for each in drawing.iter() if each.tag.endswith("text") and str(each.text).startswith("day")]
    assert 4 <= len(labels) <= charts.MOST_LABELS
    assert len([each for each in drawing.iter() if each.tag.endswith("circle")]) == 60


Run = Callable[..., CompletedProcess[str]]


def test_the_command_writes_the_page(tmp_path: Path, run: Run) -> None:
    """`signalpost report` writes one page and says the summary; `--json` prints the same facts; two times at once are misuse."""
    assert run("init", "--yes", "--workspace", "glow", "--platform", "tiktok", "signalpost.yaml").returncode == 0
    environ = {"TIKTOK_PIXEL": "CDEMOPIXEL0000000001", "TIKTOK_ACCESS_TOKEN": "token", "TIKTOK_TOKEN": "token"}
    environ |= dict.fromkeys(
        re.findall(r"\$\{(\w+)\}", (tmp_path / "signalpost.yaml").read_text("utf-8")), "CDEMOPIXEL0000000001"
    )
    done = run("report", "--days", "3", "--out", "week.html", environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing arrived in this time." in done.stdout
    read((tmp_path / "week.html").read_text("utf-8"))
    told = json.loads(run("report", "--week", "this", "--json", environ=environ).stdout)
    assert told["events"] == 0
    assert told["period"]["title"].startswith("Week ")
    for wrong in (["--week", "this", "--days", "3"], ["--week", "2026-W60"], ["--week", "soon"], ["--out", "nowhere/x.html"]):
        done = run("report", *wrong, environ=environ)
        assert (done.returncode, done.stdout) == (2, ""), wrong
        assert done.stderr.endswith(".\n")


def test_the_page_goes_by_mail(tmp_path: Path, run: Run, mail: MailServer, webhook: Webhook) -> None:
    """`--send` takes the page to every address, in a mail as its attachment; an address that does not take it is named."""
    assert run("init", "--yes", "--workspace", "glow", "--platform", "tiktok", "signalpost.yaml").returncode == 0
    file = tmp_path / "signalpost.yaml"
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", file.read_text("utf-8")), "CDEMOPIXEL0000000001")
    assert "nobody to send it to" in run("report", "--send", environ=environ).stderr
    file.write_text(file.read_text("utf-8") + "alerts: {to: {team: '${MAIL}', hook: '${HOOK}'}}\n", "utf-8")
    environ |= {"MAIL": mail.address, "HOOK": webhook.address}
    assert run("report", "--send", "--json", environ=environ).returncode == 2
    done = run("report", "--week", "this", "--out", "week.html", "--send", environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Sent to team." in done.stdout
    (letter,) = mail.received
    assert "glow: signal report, " in str(make_header(decode_header(letter["subject"])))
    (attached,) = [part for part in letter.walk() if part.get_filename() == "week.html"]
    content = attached.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode() == (tmp_path / "week.html").read_text("utf-8")
    assert "Nothing arrived in this time." in webhook.received[0]["message"]
    webhook.status = 500
    done = run("report", "--send", environ=environ)
    assert done.returncode == 1
    assert "Not sent to hook: It answered 500." in done.stdout
    assert "geheim" not in done.stdout + done.stderr


def test_two_accounts_on_one_platform_are_told_apart(tmp_path: Path) -> None:
    """Where two destinations are of one platform, or one is no longer in the workspace file, each is named by its own name."""
    database = Database(str(tmp_path / "signalpost.db"))
    weeks.fill(database)
    plain = weeks.workspace(database.address)
    period = report.period_of_days(7, words.zone(plain.timezone), weeks.NOW + 60_000)
    tiktok = plain.destinations["tiktok"]
    for destinations, names in (
        ({"tiktok": tiktok, "tiktok_eu": tiktok}, {"TikTok (tiktok)", "TikTok (tiktok_eu)", "pinterest"}),
        ({}, {"tiktok", "pinterest"}),
    ):
        chosen = weeks.workspace(database.address, destinations=destinations)
        made = database.look(
            lambda connection, chosen=chosen: report.gather(connection, chosen, period, weeks.NOW + 60_000)  # type: ignore[misc]
        )
        assert set(report.destinations(made).values()) == names
        text = " ".join(read(report.page(made)).text)
        assert not [name for name in names if name not in text]
        parts = {(each.destination, each.untold.orders) for each in made.purchases}
        assert ("tiktok", 0) in parts
        assert "tiktok_eu" not in destinations or ("tiktok_eu", made.known[0].orders) in parts
    database.close()
