"""Bringing the marts up to date: what is due is computed, in order, and published as a build.

What belongs here: the order of the steps, and that one process at a time takes them. What does not:
each step (`due`, `runner`, `builds`), publishing events and taking dim snapshots, which come
before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg

from aethex.lake.build_records import Build
from aethex.lake.builds import BuildFailed, publish_build
from aethex.lake.core import Lake
from aethex.lake.due import Due, due
from aethex.lake.models import Model, Models, load_models
from aethex.lake.runner import ModelResult, run_model
from aethex.postgres import database_url, unreachable

_REFRESH_LOCK = 0x0AE7_4EC5  # an advisory lock's number; any constant that nobody else takes

Progress = Callable[[ModelResult], None]


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: what was due, each model's runs, and the build that readers see now."""

    due: Due
    results: tuple[ModelResult, ...]
    build: Build


def refresh(
    lake: Lake, *, models: Models | None = None, progress: Progress | None = None
) -> Refreshed:
    """Compute all that is due and publish it as a build. Nothing due: the build's watermark moves
    on.

    One process at a time does this; a second waits, and then finds less to do. Raises ModelRunError
    and BuildFailed; readers keep the old build, and the same stays due.
    """
    known = models or load_models()
    with _one_at_a_time(lake):
        try:
            return _refresh(lake, known, progress)
        except BuildFailed:
            # a model run by hand meanwhile may have moved one mart on and not yet the others:
            # compute again
            return _refresh(lake, known, progress)


def run_due(
    lake: Lake, found: Due, *, models: Models | None = None, progress: Progress | None = None
) -> list[ModelResult]:
    """Run every model for its due days, what is read before what reads it. Raises ModelRunError."""
    results: list[ModelResult] = []
    for model in models or load_models():
        for day in _days_of(found, model):
            result = run_model(lake, model, day, models=models)
            results.append(result)
            if progress is not None:
                progress(result)
    return results


def _refresh(lake: Lake, models: Models, progress: Progress | None) -> Refreshed:
    found = due(lake, models)
    results = run_due(lake, found, models=models, progress=progress)
    build = publish_build(lake, found, models=models)
    return Refreshed(found, tuple(results), build)


def _days_of(found: Due, model: Model) -> tuple[date, ...]:
    return found.stream_days if model.partition_column == "stream_day" else found.days


@contextmanager
def _one_at_a_time(lake: Lake) -> Generator[None]:
    """Hold the lock of refreshes in the database; a process that dies gives it back."""
    url = database_url(lake.settings, driver="")
    try:
        connection = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from error
    with connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_REFRESH_LOCK,))
        yield
