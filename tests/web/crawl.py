"""Every page of a running console, found as people find them: by the links of other pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import unescape
from threading import Thread
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
from starlette.routing import compile_path

from signalpost.web import pages

LINK = re.compile(r'<a\s[^>]*href="([^"#][^"]*)"')
CONSOLE = re.compile(r"Console\s+(http://\S+/enter/\S+)")
MOST = 400


@contextmanager
def demo(*options: str) -> Iterator[str]:
    """The demo in a process of its own; gives the address that signs in, once it stands on the terminal."""
    with subprocess.Popen(
        [sys.executable, "-m", "signalpost", "demo", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if found := CONSOLE.search(line):
                    # What it says from here on is read too: with a full pipe it would stand still.
                    Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
                    yield found.group(1)
                    break
            else:
                raise AssertionError("the demo did not start: " + "".join(said))
        finally:
            process.terminate()
            process.wait(60)


def found(enter: str) -> dict[str, str]:
    """Pattern of a page's route -> the first address of it that a link leads to, from the menu on."""
    ways = [(way.path, compile_path(way.path)[0]) for way in pages.WAYS if way.twin]
    seen: dict[str, str] = {}
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True) as client:
        base = str(client.get(enter).url)
        waiting = [urljoin(base, entry.path) for _, entries in pages.GROUPS for entry in entries]
        asked: set[str] = set()
        while waiting and len(asked) < MOST:
            address = waiting.pop(0)
            pattern = next((path for path, regex in ways if regex.match(urlsplit(address).path)), None)
            if pattern is None or pattern in seen or address in asked:
                continue
            asked.add(address)
            answer = client.get(address)
            if answer.status_code != 200 or urlsplit(str(answer.url)).path != urlsplit(address).path:
                continue
            seen[pattern] = address
            waiting += [urldefrag(urljoin(address, unescape(link)))[0] for link in LINK.findall(answer.text)]
    return seen


def proposed(enter: str) -> None:
    """Propose a change of the workspace file and have it planned, so that its pages have something to show."""
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True) as client:
        base = str(client.get(enter).url)
        form = client.get(urljoin(base, "/changes/new")).text
        token = re.search(r'name="csrf" value="(\w+)"', form)
        text = re.search(r"<textarea[^>]*>(.*?)</textarea>", form, re.DOTALL)
        assert token, form[:2_000]
        assert text, form[:2_000]
        changed = unescape(text.group(1)).lstrip("\n").replace("      Product Viewed: ViewContent\n", "")
        kept = {"csrf": token.group(1), "text": changed, "note": "Views are too many to learn from.", "then": "plan"}
        made = client.post(urljoin(base, "/changes/new"), data=kept)
        assert re.search(r"/changes/\d+$", str(made.url)), made.text[:2_000]


def named(pattern: str) -> str:
    """A file's name for a page: `signals-event` of `/signals/{event:int}`."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", r"\1", pattern).strip("/").replace("/", "-") or "today"


def wanted(patterns: Sequence[str]) -> list[str]:
    """The pages that ought to be found and were not: all but those that only somebody with a link or an answer reaches."""
    return sorted({way.path for way in pages.WAYS if way.twin} - set(patterns))
