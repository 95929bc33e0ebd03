"""The condition language: a YAML mapping of a path to a predicate, checked, printed as a sentence, compiled to a closure."""

from __future__ import annotations
