"""Bringing the marts up to date without an orchestrator: what is due is computed, in order, and
published.

What belongs here: the order of the steps, for scripts and tests. What does not: each step (`due`,
`runner`, `builds`); publishing events and taking dim snapshots, which come before; turns, retries
and history, which Dagster has (pipelines).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aethex.lake.build_records import Build
from aethex.lake.builds import BuildFailed, publish_build
from aethex.lake.core import Lake
from aethex.lake.due import Due, due
from aethex.lake.models import Models, load_models
from aethex.lake.runner import ModelResult, run_model

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
    """Compute all that is due and publish it as a build. Nothing due: its watermark moves on.

    Several at once agree, but do the work more than once. Raises ModelRunError and BuildFailed;
    readers keep the old build, and the same stays due.
    """
    known = models or load_models()
    try:
        return _refresh(lake, known, progress)
    except BuildFailed:
        # another refresh, of a later window, may have moved one mart on and not yet the others
        return _refresh(lake, known, progress)


def run_due(
    lake: Lake, found: Due, *, models: Models | None = None, progress: Progress | None = None
) -> list[ModelResult]:
    """Run every model for its due days or hours, what is read before what reads it.

    Raises ModelRunError.
    """
    results: list[ModelResult] = []
    for model in models or load_models():
        for span in found.of(model):
            result = run_model(lake, model, span, models=models)
            results.append(result)
            if progress is not None:
                progress(result)
    return results


def _refresh(lake: Lake, models: Models, progress: Progress | None) -> Refreshed:
    found = due(lake, models)
    results = run_due(lake, found, models=models, progress=progress)
    build = publish_build(lake, found, models=models)
    return Refreshed(found, tuple(results), build)
