"""The real command, as the tests of the command line run it, and receivers of what it sends."""

from __future__ import annotations

from tests.alerts.conftest import mail, webhook
from tests.cli.conftest import run

__all__ = ["mail", "run", "webhook"]
