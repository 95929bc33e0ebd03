"""Every request and every answer of the platforms' audiences against the emulators, which know nothing of this code."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest

from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import Account, Answer, AudiencePart, Batch, Files, Held, Made, Seen, Use
from signalpost.destinations.contract import Request, Response
from signalpost.normalize import sha256
from signalpost.platforms.testing import Client, running
from signalpost.transport import Transport, talk

NOW = 1_795_305_600_000


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    """Both emulators."""
    with running() as url, Client(url) as client:
        yield client


@pytest.fixture
def platforms(server: Client) -> Client:
    """Both emulators, empty."""
    server.reset()
    server.set_clock(now_ms=NOW, frozen=True)
    return server


def part_of(platform: str, platforms: Client) -> tuple[AudiencePart, Account]:
    """A platform's audiences, and the emulator's account."""
    settings, part = platforms.settings, CATALOG[platform].audience
    assert part is not None
    own = {
        "advertiser": settings.tiktok_advertiser_id,
        "ad_account": settings.pinterest_ad_account_id,
        "access_token": "not this one",
        "audience_token": settings.tiktok_token if platform == "tiktok" else settings.pinterest_token,
    }
    return part, Account(own, platforms.url)


async def ask(request: Request) -> Response:
    """One request, over the wire."""
    transport = Transport()
    try:
        return await transport.send(request)
    finally:
        await transport.close()


async def drive(asking: Generator[Request, Response, Any]) -> Any:
    """A conversation, over the wire."""
    return await talk(asking, ask)


def people(count: int, kinds: Sequence[str]) -> list[tuple[str, ...]]:
    """So many people, each with one identifier of each kind."""
    return [tuple(f"{kind}:{sha256(f'{kind} of {number}')}" for kind in kinds) for number in range(count)]


def digests(those: Sequence[Sequence[str]]) -> set[str]:
    """What the platform must hold of them."""
    return {key.partition(":")[2] for person in those for key in person}


async def made(part: AudiencePart, account: Account, title: str, first: Batch) -> Held:
    """An audience with the first people in it."""
    held, took = Held(), False
    for _ in range(3):
        step = part.made(await ask(part.make(account, title, held, first)), held, first)
        assert isinstance(step, Made), step
        held, took = step.held, took or step.took
        if step.complete:
            break
    if not took:
        assert part.changed(await ask(part.change(account, held, first)), first).kind == "taken"
    return held


each_platform = pytest.mark.parametrize("platform", ["tiktok", "pinterest"])


@each_platform
async def test_an_audience_from_its_beginning_to_its_end(platform: str, platforms: Client) -> None:
    """Made, found by its title, filled, emptied in part, looked at, used by ad groups, dropped; the platform holds just that."""
    part, account = part_of(platform, platforms)
    everybody = people(1_500, part.kinds)
    first, *rest = part.cut(True, everybody)
    held = await made(part, account, "Buyers", first)
    for batch in rest:
        assert part.changed(await ask(part.change(account, held, batch)), batch).kind == "taken"
    for batch in part.cut(False, everybody[:300]):
        assert part.changed(await ask(part.change(account, held, batch)), batch).kind == "taken"

    inside = held.list_id or held.id
    assert digests(everybody[300:]) == platforms.members(inside)
    assert held == await drive(part.find(account, "Buyers"))
    assert Held() == await drive(part.find(account, "Others"))
    seen = await drive(part.look(account, held))
    assert isinstance(seen, Seen), seen
    assert (seen.name, seen.usable) == ("Buyers", True)
    assert seen.size
    assert seen.size >= part.minimum

    groups = platforms.settings.tiktok_ad_groups if platform == "tiktok" else platforms.settings.pinterest_ad_groups
    uses: tuple[Use, ...] = ("exclude", "include")
    for use in uses:
        for _ in range(2):  # repeatable
            assert (await drive(part.apply(account, held, groups[:2], use, True))).kind == "taken"
        assert {(group, use) for group in groups[:2]} == set(await drive(part.users(account, held)))
        assert (await drive(part.apply(account, held, groups[:2], use, False))).kind == "taken"
    if platform == "pinterest":  # TikTok's log leaves out what was disconnected
        assert not await drive(part.users(account, held))
    refused = await drive(part.apply(account, held, ["123"], "exclude", True))
    assert refused.kind == "refused", refused

    assert part.changed(await ask(part.drop(account, held)), None).kind == "taken"
    assert (await drive(part.look(account, held))).kind == "gone"


@each_platform
async def test_a_lost_or_foreign_audience_is_told_from_bad_credentials(platform: str, platforms: Client) -> None:
    """What somebody deleted is gone, what is another account's is gone or foreign, and a wrong token is neither."""
    part, account = part_of(platform, platforms)
    (batch,) = part.cut(True, people(1, part.kinds[:1]))
    held = await made(part, account, "Buyers", batch)
    other = await made(part, account, "Others", batch)

    platforms.give_audience(platform, held.id)
    assert (await drive(part.look(account, held))).kind in {"gone", "foreign"}
    change = part.change(account, held, batch)
    if platform == "tiktok":  # Pinterest's list stays ours when its audience does not
        assert part.changed(await ask(change), batch).kind == "foreign"
    bad = Account({**account.settings, "audience_token": "wrong"}, account.base)
    assert (await drive(part.look(bad, other))).kind == "unauthorised"
    assert part.changed(await ask(part.change(bad, other, batch)), batch).kind == "unauthorised"

    platforms.lose_audience(platform, other.id)
    assert (await drive(part.look(account, other))).kind == "gone"


async def test_files_fill_and_empty_an_audience_of_their_own(platforms: Client) -> None:
    """An audience of files is made, grows and shrinks by them; below 1,000 TikTok refuses, and the sentence says so."""
    part, account = part_of("tiktok", platforms)
    files = part.files
    assert files is not None
    everybody = people(1_400, ("email", "phone", "idfa"))

    async def path_of(files: Files, adding: bool, some: Sequence[Sequence[str]]) -> str:
        (batch,) = files.cut(adding, some)
        path = files.uploaded(await ask(files.upload(account, batch)))
        assert isinstance(path, str), path
        return path

    path = await path_of(files, True, everybody[:1_200])
    step = part.made(await ask(files.make(account, "Everybody", [path])), Held(), None)
    assert isinstance(step, Made), step
    assert step.complete
    held = step.held
    for adding, some in ((True, everybody[1_200:]), (False, everybody[:100])):
        change = files.change(account, held, adding, [await path_of(files, adding, some)])
        assert part.changed(await ask(change), None).kind == "taken"
    assert digests(everybody[100:]) == platforms.members(held.id)

    too_many = files.change(account, held, False, [await path_of(files, False, everybody[100:900])])
    answer = part.changed(await ask(too_many), None)
    assert (answer.kind, "1,000" in answer.sentence) == ("refused", True), answer
    assert digests(everybody[100:]) == platforms.members(held.id)


@each_platform
@pytest.mark.parametrize(("fault", "kinds"), [("rate_limit", {"retry"}), ("status", {"retry"}), ("malformed", {"retry"})])
async def test_faults_are_read_as_what_they_are(platform: str, platforms: Client, fault: str, kinds: set[str]) -> None:
    """An overrun, failing or garbled platform is asked again later, and then holds what was asked."""
    part, account = part_of(platform, platforms)
    first, second = (Batch(True, rows) for rows in [((f"email:{sha256(text)}",),) for text in "ab"])
    held = await made(part, account, "Buyers", first)
    options: dict[str, Any] = {"status": 503} if fault == "status" else {}
    platforms.fault(fault, platform=platform, times=1, scope="audiences", **options)

    assert part.changed(await ask(part.change(account, held, second)), second).kind in kinds
    answer = part.changed(await ask(part.change(account, held, second)), second)
    assert isinstance(answer, Answer)
    assert answer.kind == "taken"
    assert {sha256("a"), sha256("b")} == platforms.members(held.list_id or held.id)
