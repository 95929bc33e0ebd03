"""The commands that run Signalpost, as a person runs them: real processes, real signals, what they print and how they end."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalpost.platforms.testing import Client, running
from signalpost.samples import traffic

COMMAND = [sys.executable, "-m", "signalpost"]
PATIENCE = 40.0
"""Seconds after which something that must happen has not."""
KEY = ("web-key", "")

WORKSPACE = """\
workspace: shop
environment: production
currency: USD
country: US
order_value: gross
timezone: Europe/Berlin
database: {database}
server: {server}
sources:
  web: {{type: pipelines, write_key: ${{WEB_KEY}}}}
destinations:
  tiktok:
    type: tiktok
    endpoint: {url}
    pixel: {pixel}
    access_token: ${{TIKTOK_TOKEN}}
    linger: 5ms
  pinterest:
    type: pinterest
    endpoint: {url}
    ad_account: "{account}"
    access_token: ${{PINTEREST_TOKEN}}
    linger: 5ms
"""


@pytest.fixture(scope="module")
def emulators() -> Iterator[Client]:
    """Both emulators, once for these tests."""
    with running() as url, Client(url) as client:
        yield client


@pytest.fixture
def platforms(emulators: Client) -> Iterator[Client]:
    """Both emulators, empty and without faults."""
    emulators.reset()
    yield emulators
    emulators.clear_faults()


class Place:
    """A folder with a workspace file, and the commands run in it."""

    def __init__(self, folder: Path, platforms: Client) -> None:
        self.folder, self.platforms = folder, platforms
        settings = platforms.settings
        self.environ = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder),
            "WEB_KEY": KEY[0],
            "TIKTOK_TOKEN": settings.tiktok_token,
            "PINTEREST_TOKEN": settings.pinterest_token,
        }
        self.write()

    def write(self, *, server: str = "{port: 0}", database: str = "signalpost.db", name: str = "signalpost.yaml") -> None:
        """Write the workspace file."""
        settings = self.platforms.settings
        text = WORKSPACE.format(
            server=server,
            database=database,
            url=self.platforms.url,
            pixel=settings.tiktok_pixels[0],
            account=settings.pinterest_ad_account_id,
        )
        (self.folder / name).write_text(text, "utf-8")

    def run(self, *arguments: str, **environ: str | None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; an environment variable of None is not set."""
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={name: value for name, value in {**self.environ, **environ}.items() if value is not None},
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environ, **environ},
        )

    @contextmanager
    def served(self, *arguments: str, ending: int = signal.SIGTERM, **environ: str) -> Iterator[dict[str, Any]]:
        """`signalpost serve --json` while the block runs; it must end well when asked to."""
        process = self.start("serve", "--json", *arguments, **environ)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate(timeout=PATIENCE)[1]
            yield json.loads(line)
            children = descendants(process.pid)
            process.send_signal(ending)
            printed, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        assert (0, "") == (process.returncode, printed)
        assert [] == [child for child in children if Path(f"/proc/{child}").exists()]
        assert "Traceback" not in errors
        assert "was never retrieved" not in errors


@pytest.fixture
def place(tmp_path: Path, platforms: Client) -> Place:
    """A folder with a workspace whose destinations are the emulators."""
    return Place(tmp_path, platforms)


def order(number: int | str) -> dict[str, Any]:
    """An order as a client sends it."""
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m-{number}",
        "userId": f"user-{number}",
        "properties": {"order_id": f"o-{number}", "total": 45.5, "currency": "USD", "email": f"user{number}@example.com"},
        "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/thanks"}},
    }


def post(url: str, *messages: dict[str, Any]) -> None:
    """Send messages; they must be acknowledged."""
    answer = httpx.post(f"{url}/v1/batch", json={"batch": messages}, auth=KEY, timeout=20, trust_env=False)
    assert answer.status_code == 200, answer.text


def until(happened: Callable[[], Any], what: str) -> None:
    """Wait until it has happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def accepted(platforms: Client) -> dict[str, int]:
    """Platform -> events it accepted."""
    return {name: platforms.received(name)["accepted"] for name in ("tiktok", "pinterest")}


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence on standard error with which the command ended; nothing else was printed."""
    assert (code, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.endswith((".", "?", " --help"))
    return line


# ---- serve -----------------------------------------------------------------------------------------------------------------


def test_serve_says_where_it_is_to_a_person(place: Place) -> None:
    """Intake, the link that makes the first admin, and store are printed; Ctrl-C ends it with 0."""
    place.write(server="{port: 0, tls_port: 0}")
    process = place.start("serve")
    try:
        assert process.stdout is not None
        told = [process.stdout.readline().rstrip() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert told[0] == "Signalpost serves shop (production)."
    assert told[1].startswith("  intake   http://127.0.0.1:")
    assert " and https://127.0.0.1:" in told[1]
    assert "/enter/" in told[2]
    assert "signalpost.db" in told[3]
    assert "Ctrl-C" in told[4]
    assert (0, "") == (process.returncode, rest)
    assert "Traceback" not in errors


def test_serve_answers_and_keeps_its_console_closed(place: Place) -> None:
    """`/healthz` answers anybody; the printed link makes the first admin, once; the console answers nobody else."""
    with place.served() as told:
        assert {"url", "tls_url", "console"} == set(told)
        assert told["tls_url"] is None
        with httpx.Client(trust_env=False, timeout=20) as stranger:
            assert stranger.get(told["url"] + "/healthz").status_code == 200
            for page in ("/", "/signals", "/?token=" + "x" * 32):
                closed = stranger.get(told["url"] + page)
                assert closed.status_code == 303
                assert closed.headers["location"].startswith("/login")
            for page in ("/index.json", "/signals.json", "/live"):
                assert stranger.get(told["url"] + page).status_code == 401
        with httpx.Client(trust_env=False, timeout=20, follow_redirects=True) as operator:
            first = {"name": "Ada", "email": "ada@shop.example", "password": "four plain words here"}
            opened = operator.post(told["console"], data=first)
            assert (opened.status_code, str(opened.url)) == (200, told["url"] + "/")
            assert "tiktok" in opened.text
        with httpx.Client(trust_env=False, timeout=20) as late:
            assert late.get(told["console"]).status_code == 404
            assert late.post(told["console"], data=first).status_code == 404
    with place.served() as told:
        assert told["console"] == told["url"] + "/", "who is known signs in"


def test_a_stop_loses_nothing(place: Place) -> None:
    """What was acknowledged before SIGTERM is sent after the next start, each order once."""
    place.platforms.fault("rate_limit")
    with place.served() as told:
        for start in range(0, 60, 20):
            post(told["url"], *[order(number) for number in range(start, start + 20)])
    assert {"tiktok": 0, "pinterest": 0} == accepted(place.platforms)
    place.platforms.clear_faults()
    with place.served(ending=signal.SIGINT):
        until(lambda: accepted(place.platforms) == {"tiktok": 60, "pinterest": 60}, "acceptance")
    for name in ("tiktok", "pinterest"):
        assert {f"o-{number}:order-completed" for number in range(60)} == {each for _, each in place.platforms.ids(name)}
        assert place.platforms.received(name)["deduplicated"] == 0


def test_one_database_has_one_server(place: Place) -> None:
    """A second `serve` on the same database is refused with a sentence, and the first goes on."""
    with place.served() as told:
        line = one_line(place.run("serve"), 1)
        assert "already served by another Signalpost" in line
        assert httpx.get(told["url"] + "/healthz", trust_env=False).status_code == 200
    with place.served():
        pass  # the lock went with the first


@pytest.mark.parametrize("which", ["port", "tls_port"])
def test_a_port_in_use_is_a_sentence(place: Place, which: str) -> None:
    """Somebody else listens there: one line names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place.write(server=f"{{port: {port}}}" if which == "port" else f"{{port: 0, tls_port: {port}}}")
        line = one_line(place.run("serve"), 1)
    assert line == f"Cannot listen on 127.0.0.1:{port}: Address already in use."


def test_a_missing_secret_is_a_sentence(place: Place) -> None:
    """The variable that is not set is named; no other secret is printed."""
    done = place.run("serve", TIKTOK_TOKEN=None)
    assert (1, "") == (done.returncode, done.stdout)
    assert "TIKTOK_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
    assert place.platforms.settings.pinterest_token not in done.stderr


@pytest.mark.parametrize(
    ("server", "warned"),
    [
        ('{host: "0.0.0.0", port: 0}', True),
        ('{host: "0.0.0.0", port: 0, public_url: "http://shop.example"}', True),
        ('{host: "0.0.0.0", port: 0, public_url: "https://shop.example"}', False),
        ('{host: "127.0.0.1", port: 0}', False),
    ],
)
def test_an_open_address_without_tls_is_warned_of(place: Place, server: str, warned: bool) -> None:
    """Off loopback passwords travel openly unless a proxy does TLS, as an https `public_url` says: one line on standard error."""
    place.write(server=server)
    process = place.start("serve", "--json")
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert ("https://shop.example/enter/" in told["console"]) == ("https" in server)
    assert ("Passwords of the console travel openly" in errors) == warned


def test_no_workspace_file_is_a_sentence(place: Place) -> None:
    """The file that is not there is named, with the command that writes one."""
    line = one_line(place.run("serve", "nothing.yaml"), 2)
    assert line == "There is no workspace file nothing.yaml. `signalpost init` writes one."


def test_the_tls_port_answers_those_who_trust_its_authority(place: Place) -> None:
    """The certificate that `serve` makes is beside the workspace file; its authority's file is all that a client needs."""
    place.write(server="{port: 0, tls_port: 0}")
    with place.served() as told:
        trust = ssl.create_default_context(cafile=str(place.folder / "signalpost-ca.pem"))
        with httpx.Client(verify=trust, trust_env=False, timeout=20) as client:
            assert client.get(told["tls_url"] + "/healthz").status_code == 200
            answer = client.post(told["tls_url"] + "/v1/track", json=order(1), auth=KEY)
            assert answer.status_code == 200
        with httpx.Client(trust_env=False, timeout=20) as stranger, pytest.raises(httpx.ConnectError):
            stranger.get(told["tls_url"] + "/healthz")
        until(lambda: accepted(place.platforms) == {"tiktok": 1, "pinterest": 1}, "acceptance")


# ---- why and replay --------------------------------------------------------------------------------------------------------


def test_why_and_replay_beside_a_running_server(place: Place) -> None:
    """The story by message, order and number; a refused order is shown, taken up, and accepted by the server that runs."""
    refused = "o-2:order-completed"
    place.platforms.fault("partial", platform="pinterest", event_ids=[refused])
    with place.served() as told:
        post(told["url"], order(1), order(2))
        until(lambda: accepted(place.platforms) == {"tiktok": 2, "pinterest": 1}, "acceptance of all but one")

        def verdicts(key: str) -> dict[str, str]:
            done = place.run("why", key, "--json")
            assert (0, "") == (done.returncode, done.stderr)
            (story,) = json.loads(done.stdout)
            assert story["event"]["message_id"] == "m-2"
            return {each["destination"]: each["verdict"] for each in story["deliveries"]}

        until(lambda: verdicts("m-2") == {"tiktok": "accepted", "pinterest": "refused"}, "both verdicts")
        assert verdicts("o-2") == verdicts("m-2")
        done = place.run("why", "o-2")
        assert (0, "") == (done.returncode, done.stderr)
        for part in ("Order Completed", "message m-2", "tiktok: accepted", "pinterest: refused", "45.5 USD", "CET", refused):
            assert part in done.stdout
        assert "user2@example.com" not in done.stdout
        number = done.stdout.split("event ", 1)[1].split()[0]
        assert verdicts(number) == verdicts("m-2")

        place.platforms.clear_faults()
        done = place.run("replay", "pinterest")
        assert (0, "") == (done.returncode, done.stderr)
        for part in ("1 signals of pinterest", "nothing can be counted twice", "up to 7 days", "24 hours", "Nothing was changed"):
            assert part in " ".join(done.stdout.split())
        risks = {"none": 1, "merges": 0, "may count twice": 0, "too old": 0, "request gone": 0}
        shown = {"destination": "pinterest", "found": 1, "risks": risks, "taken_up": 0, "left_out": 0}
        assert shown == json.loads(place.run("replay", "pinterest", "--json").stdout)
        none = {**shown, "found": 0, "risks": dict.fromkeys(risks, 0)}
        for option in (("--verdict", "unknown"), ("--reason", "no-such-code"), ("--since", "1s")):
            assert none == json.loads(place.run("replay", "pinterest", "--json", *option).stdout)
        assert {**shown, "taken_up": 1} == json.loads(place.run("replay", "pinterest", "--yes", "--json").stdout)

        until(lambda: verdicts("m-2") == {"tiktok": "accepted", "pinterest": "accepted"}, "acceptance of the replayed order")
        assert {"tiktok": 2, "pinterest": 2} == accepted(place.platforms)
        assert "replay" in place.run("why", "m-2").stdout
        assert none == json.loads(place.run("replay", "pinterest", "--yes", "--json").stdout)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_why_of_nothing_known(place: Place, arguments: tuple[str, ...]) -> None:
    """A key that nobody ever sent: a sentence and exit code 2; as JSON the empty list."""
    done = place.run("why", "nobody-sent-this", *arguments)
    assert done.returncode == 2
    assert done.stdout == ("[]\n" if arguments else "")
    assert done.stderr == "Nothing is known of nobody-sent-this: no event has this message id, order id or number.\n"


MISUSES: list[tuple[list[str], str]] = [
    (["replay", "pintrest"], "Did you mean `pinterest`?"),
    (["replay", "tiktok", "--verdict", "accepted"], "Only refused and unknown signals can be replayed, not accepted."),
    (["replay", "tiktok", "--since", "soon"], "write a time such as"),
    (
        ["bench", "nonsense"],
        "`nonsense`; there are `map`, `flow`, `latency`, `timers`, `people`, `rescan`, `plan`, `audiences` and `pages`.",
    ),
    (["demo", "--json"], "--json needs --once"),
    (["demo", "--once", "--invoices", "0"], "--invoices"),
    (["why"], "MESSAGE_ID"),
]


@pytest.mark.parametrize(("arguments", "part"), MISUSES, ids=[" ".join(each) for each, _ in MISUSES])
def test_misuse_is_a_sentence(place: Place, arguments: list[str], part: str) -> None:
    """What cannot be followed ends with 2 and one line that says what can."""
    assert part in one_line(place.run(*arguments), 2)


# ---- demo ------------------------------------------------------------------------------------------------------------------


def test_the_bounded_demo_agrees_with_the_platforms(place: Place) -> None:
    """`demo --once --json` prints one object with the documented keys, whose parts add up, and ends with 0."""
    done = place.run("demo", "--once", "--json", "--invoices", "60")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    for name in ("events", "signals", "accepted", "warned", "refused", "unknown", "waiting"):
        assert type(summary[name]) is int, name
    for name in ("withheld", "received"):
        assert all(type(count) is int for count in summary[name].values()), name
    assert summary["agree"] is True
    assert summary["waiting"] == 0
    assert {"tiktok", "pinterest"} == set(summary["received"])
    assert all(count > 0 for count in summary["received"].values())
    assert sum(summary["received"].values()) == summary["accepted"] + summary["warned"]
    ended = summary["accepted"] + summary["warned"] + summary["refused"] + summary["unknown"] + summary["waiting"]
    assert summary["signals"] == ended + sum(summary["withheld"].values())
    sent = {
        message.body["messageId"]
        for message in traffic.messages(start=time.time_ns() // 1_000_000 - 3_600_000, compression=40_000, invoice_limit=60)
    }
    assert summary["events"] >= len(sent)
    assert [] == list(place.folder.glob("signalpost-demo-*")), "the demo leaves nothing behind"


def test_the_live_demo_stops_cleanly(place: Place) -> None:
    """Accepted purchases appear; Ctrl-C ends it with 0, and neither a process nor a file of it is left."""
    process = place.start("demo")
    children: set[int] = set()
    try:
        assert process.stdout is not None
        told = ""
        while "accepted" not in told.rpartition("\n  |")[2]:
            line = process.stdout.readline()
            assert line, process.communicate(timeout=PATIENCE)[1]
            told += line
        children = descendants(process.pid)
        assert children, "the emulators are a process of their own"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "Console" in told
    assert "/enter/" in told
    assert [] == [child for child in children if Path(f"/proc/{child}").exists()]
    assert [] == list(place.folder.glob("signalpost-demo-*")), "the demo leaves nothing behind"


def test_a_demo_that_is_stopped_at_once_is_stopped(place: Place) -> None:
    """Ctrl-C while it still starts: the end is clean, too."""
    process = place.start("demo", "--once", "--invoices", "60")
    try:
        until(lambda: descendants(process.pid) or process.poll() is not None, "the emulators' process")
        children = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in errors
    assert [] == [child for child in children if Path(f"/proc/{child}").exists()]
    assert [] == list(place.folder.glob("signalpost-demo-*"))


def descendants(process: int) -> set[int]:
    """The processes that this one started, and those that they started."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == process:
            child = int(stat.parent.name)
            found |= {child} | descendants(child)
    return found
