"""The same emulators as for delivery."""

from __future__ import annotations

from tests.delivery.conftest import emulators as emulators
from tests.delivery.conftest import platforms as platforms
