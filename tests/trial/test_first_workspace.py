"""The first workspace file: right as it is written, right with all its comments taken up, and good enough for a test."""

from __future__ import annotations

import re
from typing import Any

import pytest

from signalpost import config, starter, trial
from signalpost.destinations import CATALOG
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms

ENVIRONMENTS: list[Any] = ["production", "test"]


def variables(text: str, platforms: Client | None = None) -> dict[str, str]:
    """A value for each variable; the emulators' own where there are emulators."""
    found = {name: f"value-of-{name.lower()}" for name in re.findall(r"\$\{(\w+)\}", text)}
    found |= {"PINTEREST_AD_ACCOUNT": "549755885175", "ALERTS_ADDRESS": "json://alerts.example"}
    if platforms is not None:
        settings = platforms.settings
        found |= {"TIKTOK_PIXEL": settings.tiktok_pixels[0], "TIKTOK_ACCESS_TOKEN": settings.tiktok_token}
        found |= {"PINTEREST_AD_ACCOUNT": settings.pinterest_ad_account_id, "PINTEREST_ACCESS_TOKEN": settings.pinterest_token}
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("platforms", [("tiktok",), ("pinterest",), ("tiktok", "pinterest")], ids=str)
def test_it_checks_out(environment: Any, platforms: tuple[str, ...]) -> None:
    """Every first file is without a mistake or a warning, and so are the options it has as comments."""
    text = starter.write(starter.Answers(environment=environment, platforms=platforms), CATALOG)
    workspace, notes = config.check(text, variables(text), CATALOG)
    assert (notes, True) == ((), workspace is not None)
    assert workspace is not None
    assert {"zero_value", "bot"} <= {gate.preset for gate in workspace.gates}
    assert ("test_order" in {gate.preset for gate in workspace.gates}) == (environment == "production")
    assert workspace.repeats

    # Lines such as `# option: value` and `# - item`, below the head of the file, are options; sentences are not.
    head, mark, body = text.partition("destinations:")
    taken_up = re.sub(r"(?m)^( *)# ( *(?:- .*|[a-z_]+:(?: .*)?))$", r"\1\2", body)
    assert taken_up != body
    taken_up = re.sub(r"(?m)^ *tls_(?:port|certificate|key):.*\n", "", taken_up)
    workspace, notes = config.check(head + mark + taken_up, variables(text), CATALOG)
    assert (notes, True) == ((), workspace is not None)
    assert workspace is not None
    assert workspace.alerts.to
    assert workspace.measurement.primary
    assert all(destination.rollout for destination in workspace.destinations.values())
    assert {"employee": "observing"}.items() <= {gate.preset: gate.mode for gate in workspace.gates}.items()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_it_sends_a_test(environment: Any, platforms: Client) -> None:
    """With the emulators' credentials a first file passes every check of a test on both platforms."""
    text = starter.write(starter.Answers(environment=environment), CATALOG)
    text = re.sub(r"(?m)^    type: (tiktok|pinterest)$", rf"    type: \1\n    endpoint: {platforms.url}", text)
    if environment == "production":
        text = text.replace("    type: tiktok\n", "    type: tiktok\n    test_code: TEST1\n")
    workspace, notes = config.check(text, variables(text, platforms), CATALOG)
    assert workspace is not None, notes
    for name in workspace.destinations:
        told = await trial.run(workspace, name, now_ms())
        assert told.passed, [check for check in told.checks if check.passed is False]
        assert len(told.sent) == 2
