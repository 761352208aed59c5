"""Fixtures that every room's tests share: settings, databases, stores, real input.

What belongs here: parts that are real (Postgres, R2's local server) and shared by several rooms.
What does not: fixtures of one room; those sit in that room's own conftest.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import hypothesis
import pytest

from aethex.settings import PROJECT_DIR, Settings, get_settings
from tests.browser import launched_browser
from tests.postgres_server import PostgresForTests, fast_base, shared_postgres
from tests.r2 import R2Server, missing_parts, shared_r2

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from aethex.lake import Lake
    from aethex.library import Library
    from aethex.store import Store


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--soak-seconds`: how long tests/chaos goes on breaking things; 0: each once, and cases that
    are marked `soak` are left out.
    """
    parser.addoption("--soak-seconds", type=float, default=0.0)


def pytest_configure() -> None:
    """Tests' folders lie in memory where there is room: what is written durably waits for no disk.

    No test can cut the power, so a slow disk would prove no more; it cost a third of the time.
    """
    base = fast_base()
    may_hold_programs = not os.statvfs(base).f_flag & os.ST_NOEXEC  # some tests write one
    if base != Path("/tmp") and may_hold_programs:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(base))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `soak` (tests/soak.py), unless this is one."""
    if config.getoption("soak_seconds"):
        return
    later = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=later)
    items[:] = [item for item in items if not item.get_closest_marker("soak")]


# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def session_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all xdist workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real input made by others. It lies beside the project and is not part of it."""
    folder = PROJECT_DIR.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real input at {folder}")
    return folder


@pytest.fixture(autouse=True)
def only_settings_of_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the machine's own AETHEX_* environment reaches a test."""
    for name in list(os.environ):
        if name.startswith("AETHEX_"):
            monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """One embedded Postgres for all test runs, with a migrated template database."""
    with shared_postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresForTests) -> Iterator[str]:
    """URL of a fresh, migrated database; it is dropped afterwards."""
    with postgres.fresh_database() as url:
        yield url


def own_settings(folder: Path, database_url: str) -> Settings:
    """Settings with everything in that folder and database."""
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        data_dir=folder / "data",
        database_url=database_url,
        password_memory_bytes=8 * 1024,  # what a password costs is not what is tested
    )


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Settings with everything in the test's own folder and database."""
    return own_settings(tmp_path, database_url)


@pytest.fixture(scope="session")
def r2(session_dir: Path) -> Iterator[R2Server]:
    """R2's own local server, started when the first test asks for it."""
    if missing := missing_parts():
        pytest.skip(missing)
    with shared_r2(session_dir) as server:
        yield server


@pytest.fixture
def r2_settings(settings: Settings, r2: R2Server) -> Settings:
    """Like `settings`, with the store on R2 under a prefix of the test's own."""
    return settings.model_copy(
        update={
            "store_url": f"s3://{r2.bucket}/{uuid4().hex}",
            "store_endpoint": r2.endpoint,
            "store_access_key_id": r2.access_key_id,
            "store_secret_access_key": r2.secret,
        }
    )


@pytest.fixture
def folder_store(settings: Settings) -> Store:
    """The default store: a folder."""
    from aethex.store import open_store

    return open_store(settings)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """An empty lake on the folder store."""
    from aethex.lake import Lake

    return Lake.open(settings)


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    """The library on the test's own database."""
    from aethex.library import Library

    with Library.open(settings) as library:
        yield library


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium of this test module; each test opens contexts of its own in it.

    Not for the whole session: while playwright runs, nothing else in the thread can use asyncio.
    """
    with launched_browser() as browser:
        yield browser
