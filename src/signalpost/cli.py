"""The command line: every command, and one way of telling what went wrong.

Exit codes: 0 all is well, 1 something was found or failed, 2 the command was not used as it is meant to be.
Results go to standard output (with `--json` as JSON alone), sentences about trouble to standard error.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from signalpost import (
    __version__,
    cli_accounts,
    cli_alerts,
    cli_audiences,
    cli_changes,
    cli_lift,
    cli_platforms,
    cli_quality,
    cli_report,
    cli_rollout,
    cli_run,
    cli_segments,
    cli_why,
    cli_workspace,
)
from signalpost.cli_say import Misuse, complain, say
from signalpost.errors import SignalpostError

application = typer.Typer(
    name="signalpost",
    help="Customer events in, accepted conversions out: a self-hosted hub for TikTok and Pinterest.",
    add_completion=False,
    pretty_exceptions_enable=False,  # main() tells errors; a defect shows its plain traceback
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# typer carries its own copy of click, whose errors are public only as the ancestors of this one.
_Usage: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run the command line; the one place where errors become sentences and exit codes."""
    try:
        code = application(cli_report.with_its_week(sys.argv[1:]), prog_name="signalpost", standalone_mode=False)
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


application.command()(cli_workspace.init)
application.command()(cli_workspace.check)
application.command()(cli_workspace.gates)
application.command()(cli_changes.plan)
application.command()(cli_changes.apply)
application.command()(cli_platforms.platforms)
application.command("map")(cli_platforms.map_messages)
application.command()(cli_run.serve)
application.command()(cli_run.demo)
application.command()(cli_why.why)
application.command()(cli_quality.doctor)
application.command()(cli_quality.findings)
application.command("send-test")(cli_run.send_test)
application.command("replay")(cli_run.replay_signals)
application.command()(cli_run.bench)
application.command("report")(cli_report.report_week)
application.command("lift")(cli_lift.lift_of)
application.add_typer(cli_rollout.application, name="rollout")
application.add_typer(cli_segments.application, name="segments")
application.add_typer(cli_audiences.application, name="audiences")
application.add_typer(cli_alerts.application, name="alerts")
application.add_typer(cli_accounts.application, name="users")
