"""Fixtures of the assets' tests.

A stream of three counts is published, and computed too, once for each module; a test has the lake,
the library and the jobs as they were then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from aethex.lake import Lake
from aethex.library import Library
from aethex.settings import Settings
from tests.pipelines.runs import Pipeline
from tests.pipelines.streams import add_stream
from tests.postgres_server import PostgresForTests
from tests.saved import Saved, saved


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory: what a run says there is what it says in Postgres."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def pipeline(settings: Settings, instance: dg.DagsterInstance) -> Pipeline:
    """The jobs on the test's own lake and library."""
    return Pipeline(settings, instance)


@dataclass(frozen=True)
class Begun:
    """What a test goes on with."""

    pipeline: Pipeline
    library: Library
    lake: Lake


def _publish(settings: Settings) -> None:
    with (
        Library.open(settings) as library,
        Lake.open(settings) as lake,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        add_stream(library, lake, [10, 20, 30])
        assert Pipeline(settings, instance).publish().success


def _publish_and_compute(settings: Settings) -> None:
    _publish(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        assert Pipeline(settings, instance).models().success


@pytest.fixture(scope="module")
def kept_published(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved[None]]:
    with saved(postgres, tmp_path_factory.mktemp("published"), _publish) as state:
        yield state


@pytest.fixture(scope="module")
def kept_computed(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved[None]]:
    with saved(postgres, tmp_path_factory.mktemp("computed"), _publish_and_compute) as state:
        yield state


def _again(state: Saved[None], instance: dg.DagsterInstance) -> Iterator[Begun]:
    with (
        state.again() as (settings, _),
        Library.open(settings) as library,
        Lake.open(settings) as lake,
    ):
        yield Begun(Pipeline(settings, instance), library, lake)


@pytest.fixture
def published(kept_published: Saved[None], instance: dg.DagsterInstance) -> Iterator[Begun]:
    yield from _again(kept_published, instance)


@pytest.fixture
def computed(kept_computed: Saved[None], instance: dg.DagsterInstance) -> Iterator[Begun]:
    yield from _again(kept_computed, instance)
