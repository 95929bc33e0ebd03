"""The command line: thin functions that call the rooms, and one way of telling what went wrong.

Exit codes: 0 all is well, 1 something was found or failed, 2 the command was not used as it is meant to be.
Results go to standard output (with `--json` as JSON alone), sentences about trouble to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from signalpost import __version__, config, starter
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError

application = typer.Typer(
    name="signalpost",
    help="Customer events in, accepted conversions out: a self-hosted hub for TikTok and Pinterest.",
    add_completion=False,
    pretty_exceptions_enable=False,  # main() tells errors; a defect shows its plain traceback
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(help="The workspace file.", metavar="FILE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


class Misuse(SignalpostError):  # noqa: N818 - the tree of errors is named by what happened
    """The command was called in a way it cannot follow; exit code 2."""


# typer carries its own copy of click, whose errors are public only as the ancestors of this one.
_Usage: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run the command line; the one place where errors become sentences and exit codes."""
    try:
        code = application(standalone_mode=False)
    except _Usage as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "signalpost"
        complain(f"{error.format_message().rstrip('.')}. See: {where} --help".replace("?.", "?"))
        code = 2
    except typer.Abort:
        complain("Stopped.")
        code = 130
    except Misuse as error:
        complain(str(error))
        code = 2
    except SignalpostError as error:
        complain(str(error))
        code = 1
    except BrokenPipeError:
        # Whoever read our output went away, as `head` does; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def complain(sentence: str) -> None:
    """Print what went wrong to standard error, as it is: no markup, no wrapping."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(sentence))


def say(*lines: str | Text) -> None:
    """Print lines for a person to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line if isinstance(line, Text) else Text(line))


def say_json(value: Any) -> None:
    """Print one JSON value for a program to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def workspace_at(path: Path) -> config.Workspace:
    """Return the checked workspace of the file; raise `ConfigError` with all its mistakes, or `Misuse`."""
    if not path.is_file():
        raise Misuse(f"There is no workspace file {path}. `signalpost init` writes one.")
    return config.load(path, os.environ, CATALOG)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"signalpost {__version__}")
        raise typer.Exit


@application.callback(invoke_without_command=True)
def signalpost(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Customer events in, accepted conversions out: a self-hosted hub for TikTok and Pinterest."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit(2)


# init


@application.command()
def init(
    file: File = Path(config.FILE),
    workspace: Annotated[str | None, typer.Option(help="Short name of the brand.")] = None,
    environment: Annotated[str | None, typer.Option(help="production or test.")] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of amounts that name none.")] = None,
    country: Annotated[str | None, typer.Option(help="Country of phone numbers that name none.")] = None,
    order_value: Annotated[str | None, typer.Option(help="gross or net: what an order is worth.")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="tiktok, pinterest; may be repeated.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask what a workspace needs and write its file, commented."""
    if file.exists() and not force:
        raise Misuse(f"{file} is there already; --force writes over it.")
    given = {
        "workspace": workspace,
        "environment": environment,
        "currency": currency,
        "country": country,
        "order_value": order_value,
        "platforms": ",".join(platform) if platform else None,
    }
    answers = starter.Answers()
    for name, answer in given.items():
        if answer is not None:
            try:
                answers = starter.answered(answers, name, answer, CATALOG)
            except ValueError as error:
                raise Misuse(str(error)) from error
    for question in starter.QUESTIONS if not (yes or as_json) else ():
        if given[question.name] is None:
            answers = _ask(answers, question)
    text = starter.write(answers, CATALOG)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misuse(f"{file} cannot be written: {error.strerror}.") from error
    needed = starter.variables(text)
    if as_json:
        say_json({"file": str(file), "environment_variables": list(needed)})
        return
    say(f"Wrote {file}. It needs these environment variables:")
    say(*(f"  {name}" for name in needed))
    say(f"Then: signalpost check {file}")


def _ask(answers: starter.Answers, question: starter.Question) -> starter.Answers:
    usual = getattr(answers, question.name)
    shown = ",".join(usual) if isinstance(usual, tuple) else usual
    while True:
        try:
            answer = typer.prompt(question.text, default=shown)
        except typer.Abort as abort:
            raise Misuse("No answer came; `signalpost init --yes` takes the defaults.") from abort
        try:
            return starter.answered(answers, question.name, answer, CATALOG)
        except ValueError as error:
            complain(str(error))


# check


@application.command()
def check(file: File = Path(config.FILE), as_json: AsJson = False) -> None:
    """Name every mistake of a workspace file with its line; exit code 1 if there is one."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Misuse(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Misuse(f"{file} cannot be read: it is not UTF-8 text.") from error
    workspace, notes = config.check(text, os.environ, CATALOG, file=str(file))
    if as_json:
        say_json(
            {
                "ok": workspace is not None,
                "workspace": workspace.workspace if workspace is not None else None,
                "mistakes": [_noted(note) for note in notes if note.severity == "mistake"],
                "warnings": [_noted(note) for note in notes if note.severity == "warning"],
            }
        )
    else:
        for note in notes:
            say(Text(str(note), style="red" if note.severity == "mistake" else "yellow"))
        say(_summary(file, workspace, notes))
    if workspace is None:
        raise typer.Exit(1)


def _noted(note: config.Mistake) -> dict[str, Any]:
    return {
        "file": note.file,
        "line": note.line,
        "column": note.column,
        "path": note.path,
        "sentence": note.sentence,
    }


def _summary(file: Path, workspace: config.Workspace | None, notes: tuple[config.Mistake, ...]) -> Text:
    wrong = sum(note.severity == "mistake" for note in notes)
    counted = f"{wrong} mistake{'' if wrong == 1 else 's'}"
    if workspace is None:
        return Text(f"{file}: {counted}.", style="bold red")
    sources, destinations = len(workspace.sources), len(workspace.destinations)
    return Text(
        f"{file}: workspace {workspace.workspace} ({workspace.environment}), {sources} "
        f"source{'' if sources == 1 else 's'}, {destinations} destination{'' if destinations == 1 else 's'}, "
        "no mistakes.",
        style="green",
    )


# platforms


@application.command()
def platforms(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one and prints it.")] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    cheap: Annotated[bool, typer.Option("--cheap", help="For benches: look only at names and ids.")] = False,
    seed: Annotated[int, typer.Option(help="Decides every probability of the faults.")] = 1,
    tiktok_token: Annotated[str | None, typer.Option(help="The access token TikTok takes.")] = None,
    tiktok_pixel: Annotated[list[str] | None, typer.Option(help="A pixel code; may be repeated.")] = None,
    tiktok_advertiser_id: Annotated[str | None, typer.Option(help="The advertiser of the pixels.")] = None,
    pinterest_token: Annotated[str | None, typer.Option(help="The access token Pinterest takes.")] = None,
    pinterest_ad_account_id: Annotated[str | None, typer.Option(help="The ad account.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run strict emulators of both platforms' HTTP APIs on one port, until Ctrl-C."""
    # Loaded here because a web server takes its time to load and no other command needs it.
    from signalpost.platforms.__main__ import announcement  # noqa: PLC0415
    from signalpost.platforms.app import describe  # noqa: PLC0415
    from signalpost.platforms.serve import run  # noqa: PLC0415
    from signalpost.platforms.settings import Settings  # noqa: PLC0415

    usual = Settings()
    settings = Settings(
        cheap=cheap,
        seed=seed,
        tiktok_token=tiktok_token or usual.tiktok_token,
        tiktok_pixels=tuple(tiktok_pixel or usual.tiktok_pixels),
        tiktok_advertiser_id=tiktok_advertiser_id or usual.tiktok_advertiser_id,
        pinterest_token=pinterest_token or usual.pinterest_token,
        pinterest_ad_account_id=pinterest_ad_account_id or usual.pinterest_ad_account_id,
    )

    def ready(url: str) -> None:
        say_json(describe(settings, url)) if as_json else say(announcement(settings, url))
        sys.stdout.flush()

    try:
        run(settings, host, port, ready)
    except OSError as error:
        raise Misuse(f"Nothing can listen on {host}:{port}: {error.strerror}.") from error
