"""Whose database this is: one workspace in one environment, the first that serves it.

Signals waiting in a test workspace's database would leave as real ones if production took it over, and test people would stand in
its audiences; so nobody else may have it.
"""

from __future__ import annotations

from signalpost.errors import StoreError
from signalpost.store.database import Connection

WHAT = "owns this database"


def claim(connection: Connection, workspace: str, environment: str, now: int) -> None:
    """Take the database for a workspace, once; raises `StoreError` when it is another's."""
    own = f"{workspace} ({environment})"
    rows = connection.rows("owner", WHAT)
    if not rows:
        connection.run("audit_add", now, "Signalpost", WHAT, own, "")
    elif rows[0][0] != own:
        raise StoreError(
            f"This database belongs to the workspace {rows[0][0]}, not to {own}: their people, orders and waiting signals would "
            "be one. Give this workspace a `database` of its own; a workspace that goes from test to production begins with an "
            "empty one."
        )
