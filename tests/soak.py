"""Cases that `make test` leaves to `make soak`: more of the same, where each costs seconds."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet


def some_now(values: Iterable[str], *now: str) -> list[str | ParameterSet]:
    """Parameters of a test: `make test` tries those that are named, `make soak` all others."""
    listed = list(values)
    assert set(now) < set(listed), "not among the values, or all of them"
    return [
        value if value in now else pytest.param(value, marks=pytest.mark.soak) for value in listed
    ]
