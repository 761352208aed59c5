"""Fixtures of the media tests: settings without a database, a folder of packages made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aethex.media.hls import package
from aethex.media.vod import PackagedVod
from aethex.settings import Settings
from tests.media.footage import Recipe, make

Packager = Callable[[Path], PackagedVod]


def media_settings(folder: Path, **changes: object) -> Settings:
    """Settings that need no database; a child gets a minute."""
    values = {"media_timeout_seconds": 60.0, **changes}
    return Settings(_env_file=None, data_dir=folder, **values)  # pyright: ignore[reportCallIssue, reportArgumentType]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return media_settings(tmp_path / "data")


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packager:
    """Packages a file into a folder of its own, once a session for each file."""
    folder = tmp_path_factory.mktemp("packaged")
    made: dict[Path, PackagedVod] = {}

    def run(source: Path) -> PackagedVod:
        if source not in made:
            settings = media_settings(folder / "data")
            made[source] = package(source, folder / f"{len(made)}", settings=settings)
        return made[source]

    return run


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Recipe], Path]:
    """Makes footage once a session for each name and recipe."""
    folder = tmp_path_factory.mktemp("footage")
    made: dict[tuple[str, Recipe], Path] = {}

    def get(name: str, recipe: Recipe) -> Path:
        if (name, recipe) not in made:
            made[name, recipe] = make(folder / f"{len(made)}-{name}", recipe)
        return made[name, recipe]

    return get


def joined(vod: PackagedVod, folder: Path) -> Path:
    """The package's init and media segments as one file, as a player sees them."""
    path = folder / "joined.mp4"
    parts = [vod.init.name, *(segment.name for segment in vod.segments)]
    path.write_bytes(b"".join((vod.out_dir / name).read_bytes() for name in parts))
    return path
