"""Fixtures of the pipeline's tests."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from aethex.settings import Settings
from tests.pipelines.runs import Pipeline


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory: what a run says there is what it says in Postgres."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def pipeline(settings: Settings, instance: dg.DagsterInstance) -> Pipeline:
    """The jobs on the test's own lake and library."""
    return Pipeline(settings, instance)
