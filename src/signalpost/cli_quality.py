"""The commands that ask how good the signals are: doctor, findings, gates."""

from __future__ import annotations
