"""Findings open and close by themselves, on a real database of each kind."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost.findings import KINDS, Finding
from signalpost.store import findings
from signalpost.store.database import Connection, Database
from signalpost.store.findings import CLOSES_MS, Kept

NOW = 1_795_305_600_000
HALF = 30_000


def made(kind: str = "refused", subject: str = "tiktok", **changes: object) -> Finding:
    """A finding."""
    finding = Finding(
        kind=kind,
        subject=subject,
        severity="warning",
        sentence="tiktok refused 12 of 40 signals.",
        advice="Mend them.",
        link="docs/leaks/README.md",
        share=Decimal("0.3000"),
        money=Decimal("120.50"),
        currency="USD",
        examples=(3, 2),
    )
    return replace(finding, **changes)


def reconcile(database: Database, found: list[Finding], now: int) -> list[Kept]:
    """One evaluation, in its transaction."""
    return database.submit(lambda connection: findings.reconcile(connection, found, now)).result(30)


def everything(database: Database) -> list[Kept]:
    """Every row, open or closed."""
    return database.look(lambda connection: findings.between(connection, 0, 2**60))


def test_a_finding_is_kept_as_it_was_found(database: Database) -> None:
    """What is read back is what was found, with its life beside it."""
    finding = made()
    (kept,) = reconcile(database, [finding], NOW)
    assert kept == Kept(id=kept.id, finding=finding, since=NOW, seen_at=NOW, closed_at=None, alerted_at=None)
    assert kept.open
    assert database.look(lambda connection: findings.one(connection, kept.id)) == kept


def test_money_and_share_follow_while_it_is_open(database: Database) -> None:
    """A finding seen again is the same row with today's figures, and its beginning stays."""
    (first,) = reconcile(database, [made()], NOW)
    worse = made(severity="problem", money=Decimal("999.00"), share=Decimal("0.9"), sentence="Much.", examples=(9,))
    (again,) = reconcile(database, [worse], NOW + HALF)
    assert (again.id, again.since, again.seen_at, again.finding) == (first.id, NOW, NOW + HALF, worse)
    (kept,) = reconcile(database, [replace(worse, examples=())], NOW + 2 * HALF)
    assert kept.finding.examples == (9,), "examples that nobody finds any more are the last ones"


def test_it_closes_when_it_was_not_so_for_a_while_and_returns_as_a_new_one(database: Database) -> None:
    """One that comes and goes stays open; after ten minutes without it it is closed, and its return is another row."""
    (first,) = reconcile(database, [made()], NOW)
    assert [kept.id for kept in reconcile(database, [], NOW + CLOSES_MS - 1)] == [first.id]
    assert [kept.id for kept in reconcile(database, [made()], NOW + CLOSES_MS)] == [first.id]
    assert reconcile(database, [], NOW + 2 * CLOSES_MS) == []
    (second,) = reconcile(database, [made()], NOW + 3 * CLOSES_MS)
    assert second.id != first.id
    assert second.since == NOW + 3 * CLOSES_MS
    assert [(kept.id, kept.closed_at) for kept in everything(database)] == [
        (second.id, None),
        (first.id, NOW + 2 * CLOSES_MS),
    ]


def test_what_is_told_and_what_is_old(database: Database) -> None:
    """Telling is noted; only what is closed is dropped, once it is older than verdicts are kept."""
    one, other = reconcile(database, [made(), made(subject="pinterest", money=None, currency=None)], NOW)
    database.submit(lambda connection: findings.tell(connection, [one.id], NOW + 1)).result(30)
    reconcile(database, [made(subject=other.finding.subject)], NOW + CLOSES_MS)
    assert [(kept.finding.subject, kept.alerted_at, kept.open) for kept in everything(database)] == [
        ("pinterest", None, True),
        ("tiktok", NOW + 1, False),
    ]

    def drop(connection: Connection) -> int:
        return connection.run("findings_prune", NOW + CLOSES_MS + 1)

    assert database.submit(drop).result(30) == 1
    assert [kept.finding.subject for kept in everything(database)] == ["pinterest"]


def test_a_warning_that_grows_into_a_problem_is_told_again(database: Database) -> None:
    """Somebody who was told of a warning hears of it once more when it becomes a problem; nothing else is told twice."""
    (one,) = reconcile(database, [made()], NOW)

    def told(severity: str, now: int) -> int | None:
        (kept,) = reconcile(database, [made(severity=severity)], now)
        assert (kept.id, kept.finding.severity) == (one.id, severity)
        return kept.alerted_at

    database.submit(lambda connection: findings.tell(connection, [one.id], NOW + 1)).result(30)
    assert told("warning", NOW + HALF) == NOW + 1
    assert told("problem", NOW + 2 * HALF) is None
    database.submit(lambda connection: findings.tell(connection, [one.id], NOW + 2 * HALF + 1)).result(30)
    assert [told(severity, NOW + 3 * HALF) for severity in ("problem", "warning")] == [NOW + 2 * HALF + 1] * 2


some = st.lists(
    st.builds(
        made,
        kind=st.sampled_from(sorted(KINDS)[:4]),
        subject=st.sampled_from(["", "tiktok", "web"]),
        severity=st.sampled_from(["warning", "problem"]),
        money=st.none() | st.decimals(min_value=0, max_value=10**9, places=2),
        examples=st.lists(st.integers(1, 2**62), max_size=3).map(tuple),
    ),
    max_size=6,
    unique_by=lambda finding: finding.key,
)


@given(history=st.lists(st.tuples(some, st.integers(1, CLOSES_MS)), min_size=1, max_size=6))
def test_reconciling_twice_changes_nothing_and_one_of_a_key_is_open(
    database: Database, history: list[tuple[list[Finding], int]]
) -> None:
    """After any history: the same evaluation again changes no row, each key has at most one open row, no life ends before it
    began, and a closed row never changes again."""
    database.submit(lambda connection: connection.run("findings_prune", 2**62)).result(30)
    now = NOW
    closed: dict[int, Kept] = {}
    for found, later in history:
        now += later
        reconcile(database, found, now)
        before = everything(database)
        reconcile(database, found, now)
        after = everything(database)
        assert after == before
        opened = [kept.finding.key for kept in after if kept.open]
        assert len(opened) == len(set(opened))
        assert {finding.key for finding in found} <= set(opened)
        for kept in after:
            assert kept.since <= kept.seen_at <= (kept.closed_at or now)
            assert closed.get(kept.id, kept) == kept
        closed = {kept.id: kept for kept in after if not kept.open}
    reconcile(database, [], now + CLOSES_MS)
    assert all(not kept.open for kept in everything(database))
