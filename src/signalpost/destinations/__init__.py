"""The platforms: one file each. `CATALOG` finds every module in this folder that declares a `destination`."""

from __future__ import annotations

import importlib
import pkgutil

from signalpost.destinations.contract import Destination


def _catalog() -> dict[str, Destination]:
    found: dict[str, Destination] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        declared = getattr(importlib.import_module(f"{__name__}.{module}"), "destination", None)
        if isinstance(declared, Destination):
            found[declared.name] = declared
    return found


CATALOG: dict[str, Destination] = _catalog()
"""Name -> the destination as declared."""

PLATFORMS: dict[str, Destination] = {name: declared for name, declared in CATALOG.items() if declared.advertising}
"""Those that are platforms of ads; the others are the shop's own tools."""
