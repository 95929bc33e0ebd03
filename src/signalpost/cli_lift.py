"""`signalpost lift`: what an audience brings, against people held out."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.text import Text

from signalpost import audiences, config, lift
from signalpost.audiences import Wanted
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, look_at, say, say_json, workspace_at
from signalpost.config import Workspace
from signalpost.lift import Lift
from signalpost.lift.intervals import Interval
from signalpost.marked import did_you_mean
from signalpost.options import Audience, share, spelt
from signalpost.processing import now_ms
from signalpost.store import lift as figures
from signalpost.store.lift import Arm, Counted

WIDE = 48
"""Columns of the picture."""

STYLES = {"nobody": "yellow", "too_early": "yellow", "brings": "bold green", "costs": "bold red", "no_difference": "bold blue"}


def lift_of(
    audience: Annotated[str, typer.Argument(help="An audience of the workspace file, by its name.", metavar="AUDIENCE")],
    file: WorkspaceOption = Path(config.FILE),
    since: Annotated[str, typer.Option(help="People who entered in the last such time, as 30d or 12w.")] = "30d",
    window: Annotated[str, typer.Option(help="How long after entering an order counts.")] = "7d",
    detect: Annotated[str, typer.Option(help="The smallest lift worth knowing of: it says how many people are needed.")] = "20%",
    as_json: AsJson = False,
) -> None:
    """Compare the people of an audience with those held out: buyers, revenue, how sure that is, or how many more it takes."""
    workspace = workspace_at(file)
    chosen = _chosen(workspace, audience, file)
    back, own = _time("--since", since), _time("--window", window)
    if own >= back:
        raise Misuse(f"--since {since} holds nobody whose {spelt(own)} are over: it must be longer than --window {window}.")
    looked_for = _share(detect)
    wanted, now = compiled(workspace, chosen), now_ms()
    counted = look_at(
        workspace, lambda connection: figures.gather(connection, wanted, since=now - back, window=own, now=now)
    ) or Counted(begin=now - back, end=now - own)
    use: lift.Use = "suppress" if chosen.use == "suppress" else "target"
    made = lift.of(counted, wanted, use, window=own, currency=workspace.currency, detect=looked_for)
    if as_json:
        say_json(_finite(msgspec.to_builtins(made)))
        return
    say(*lines(made, ZoneInfo(workspace.timezone)))


def compiled(workspace: Workspace, chosen: Audience) -> Wanted:
    """Whom this audience wants; its numbers at the destinations are no part of the comparison."""
    return next(each for each in audiences.of(workspace, {}) if each.name == chosen.title)


def _chosen(workspace: Workspace, name: str, file: Path) -> Audience:
    known = {each.title: each for each in workspace.audiences}
    if name not in known:
        if not known:
            raise Misuse(f"{file} has no audiences.")
        raise Misuse(f"{file} has no audience {name}.{did_you_mean(name, known)}")
    chosen = known[name]
    if chosen.use == "seed":
        raise Misuse(f"{name} is a seed: its people are shown no ads, people like them are, so there is nothing to compare.")
    held_out = share(chosen.holdout) if chosen.holdout is not None else 0
    if not 0 < held_out < 1:
        raise Misuse(
            f"{name} holds nobody out, so there is nothing to compare with. Give it `holdout: 10%` in {file}; "
            "who is held out then is decided by lot and stays so."
        )
    return chosen


def _time(option: str, text: str) -> int:
    try:
        return config.duration(text)
    except ValueError as error:
        raise Misuse(f"{option} {text}: write a time such as 36h, 7d or 12w.") from error


def _share(text: str) -> float:
    try:
        exact = share(text)
    except ValueError as error:
        raise Misuse(f"--detect {text}: write a share such as 20%.") from error
    if not exact:
        raise Misuse("--detect 0%: no number of people shows that there is no lift at all. Write a share such as 20%.")
    return float(exact)


def _finite(value: Any) -> Any:
    """The same for JSON, which has no infinity: null."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- how it looks ----------------------------------------------------------------------------------------------------------


def lines(made: Lift, zone: ZoneInfo) -> list[Text]:
    """The comparison as lines: verdict first, then the picture with its figures, then what one should know."""
    first, last = _day(made.begin, zone), _day(made.end, zone)
    over = f"{first} to {last}, each over" if made.end > made.begin else f"from {first} on, each counted after"
    told = [
        Text(made.sentence, style=STYLES[made.verdict]),
        *([Text(made.money)] if made.money else []),
        Text(),
        Text.assemble(
            (made.audience, "bold"),
            f"  entered {over} {spelt(made.window)} of their own; {100 * made.holdout:g} % held out",
        ),
    ]
    if made.rates is not None:
        most = max(rate.high for rate in made.rates) or 1.0
        told += [
            _bar("in the audience", made.shown, made.rates[0], most, "green"),
            _bar("held out", made.held, made.rates[1], most, "cyan"),
            Text(f"{'':19}█ at least  ▒ 95 % interval  ┃ seen", style="dim"),
        ]
    told += [Text.assemble("  ", (f"{name:<25}", "dim"), figure) for name, figure in _figures(made)]
    told += [Text.assemble("  ", ("!", "yellow"), f" {note}") for note in made.notes]
    return told


def _bar(name: str, arm: Arm, rate: Interval, most: float, style: str) -> Text:
    """A rate as a bar: solid to the low end, shaded over the interval, a mark where it was seen."""
    low, seen, high = (round(end / most * WIDE) for end in (rate.low, rate.seen, rate.high))
    seen = min(seen, WIDE - 1)
    drawn = "█" * low + "▒" * (high - low)
    drawn = (drawn[:seen] + "┃" + drawn[seen + 1 :]).ljust(WIDE)
    return Text.assemble(
        f"  {name:<17}", (drawn, style), f"  {100 * rate.seen:.2f} %", (f"  {arm.buyers:,} of {arm.people:,}", "dim")
    )


def _figures(made: Lift) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if made.difference is not None:
        found.append(("buyers per 1,000 people", _range(made.difference, 1000, "+,.1f")))
    if made.relative is not None:
        found.append(("relative lift", _range(made.relative, 100, "+,.0f", " %")))
    if made.revenue is not None:
        found.append(("revenue per person", _range(made.revenue, 1, "+,.2f", f" {made.currency}")))
    if made.needed is not None:
        here = made.shown.people + made.held.people
        found.append((f"people for {100 * made.detect:.3g} %", f"{here:,} (needed: {made.needed:,})"))
        if made.detectable is not None and math.isfinite(made.detectable):
            found.append(("these people can show", f"a lift of {100 * made.detectable:,.0f} % or more"))
    waiting = made.shown.pending + made.held.pending
    if waiting:
        found.append(("not counted yet", f"{waiting:,} whose time is not over"))
    if made.left_out:
        found.append(("in neither", f"{made.left_out:,} whom the audience never wanted, or who were erased"))
    return found


def _range(interval: Interval, unit: int, form: str, mark: str = "") -> str:
    low, high = (f"{unit * end:{form}}" if math.isfinite(end) else "any" for end in (interval.low, interval.high))
    seen = f"{unit * interval.seen:{form}}{mark}" if math.isfinite(interval.seen) else "not known"
    return f"{seen}  (95 %: {low} to {high})"


def _day(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d")
