"""A state of a platform that is made once and given to many tests, each of which has it anew.

What belongs here: keeping a state (its folder and its database) and bringing it back. What does
not: what the state is; a module of tests makes its own.

Making it again for every test would prove nothing more, and costs seconds where a copy costs a
tenth of one. A copy lies where the state was made: a lake's tables name their files by whole
addresses.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from aethex.lake import Lake
from aethex.settings import Settings
from tests.conftest import own_settings
from tests.postgres_server import PostgresForTests

Made = TypeVar("Made")


class Saved(Generic[Made]):
    """Such a state; `make` returns plain data that describes it."""

    def __init__(
        self,
        postgres: PostgresForTests,
        folder: Path,
        database_url: str,
        make: Callable[[Settings], Made],
    ) -> None:
        self._postgres = postgres
        self._database_url = database_url
        self._kept = folder / "kept"
        self._settings = own_settings(folder / "tests", database_url)
        self._made = make(self._settings)
        postgres.disconnect(database_url)  # Dagster keeps connections after its instance is closed
        self._data.rename(self._kept)

    @property
    def _data(self) -> Path:
        return self._settings.data_dir

    @contextmanager
    def again(self) -> Iterator[tuple[Settings, Made]]:
        """The state as it was made, for one test at a time."""
        shutil.copytree(self._kept, self._data)
        try:
            with self._postgres.fresh_database(like=self._database_url) as url:
                settings = self._settings.model_copy(update={"database_url": url})
                yield settings, deepcopy(self._made)
        finally:
            shutil.rmtree(self._data)


@contextmanager
def saved(
    postgres: PostgresForTests, folder: Path, make: Callable[[Settings], Made]
) -> Iterator[Saved[Made]]:
    """Make the state in that folder; it is gone after the block."""
    with postgres.fresh_database() as url:
        yield Saved(postgres, folder, url, make)
    shutil.rmtree(folder)


def saved_lake(
    postgres: PostgresForTests, folder: Path, fill: Callable[[Lake], object]
) -> AbstractContextManager[Saved[None]]:
    """A lake that is filled once, for `lake_again`."""

    def make(settings: Settings) -> None:
        with Lake.open(settings) as lake:
            fill(lake)

    return saved(postgres, folder, make)


@contextmanager
def lake_again(state: Saved[None]) -> Iterator[Lake]:
    """The lake as it was filled, for one test."""
    with state.again() as (settings, _), Lake.open(settings) as lake:
        yield lake


def lakes(fill: Callable[[Lake], object]) -> tuple[Any, Any]:
    """Two fixtures for a module of tests: `kept, filled = lakes(fill)`. The one fills a lake once,
    the other is that lake anew for each test.
    """

    @pytest.fixture(scope="module")
    def kept(
        postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Saved[None]]:
        with saved_lake(postgres, tmp_path_factory.mktemp("kept"), fill) as state:
            yield state

    @pytest.fixture
    def filled(kept: Saved[None]) -> Iterator[Lake]:
        with lake_again(kept) as lake:
            yield lake

    return kept, filled
