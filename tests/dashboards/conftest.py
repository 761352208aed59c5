"""A published world for the dashboards, and the pages over it in Streamlit's own tester."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import aethex.dashboards
from aethex.library.segments import NewSegment
from aethex.settings import Settings, get_settings
from tests.dashboards.world import MINUTE, MadeStream, World, make_world
from tests.postgres_server import PostgresForTests

APP_PATH = Path(aethex.dashboards.__file__).with_name("app.py")
START = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
OpenPage = Callable[..., AppTest]


def at(minutes: float) -> datetime:
    """That many minutes after the small stream's start."""
    return START + timedelta(minutes=minutes)


def small_stream() -> MadeStream:
    """Two hours of 100 viewers with a peak of 1,000 at 19:10 and 20 failed counts.

    Those are of the minutes 30–49, so nothing holds from 18:31:30 to 18:50. Chat: one message a
    minute in the first hour, two in the second.
    """
    counts = [
        (at(n), None if 30 <= n < 50 else 1000 if n == 70 else 100, 2 if n >= 60 else 1)
        for n in range(120)
    ]
    segments = [
        NewSegment("Warm-up <b>&", at(0), at(60), "Talk"),
        NewSegment("Main run", at(60), at(110), "Racing"),
        NewSegment("After the end", at(200), at(210), None),
    ]
    return MadeStream("Monday night", counts, segments)


def older_stream() -> MadeStream:
    """One hour, 30 days before, without chat counts and segments."""
    begin = START - timedelta(days=30)
    return MadeStream("February warm-up", [(begin + n * MINUTE, 50, None) for n in range(60)])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresForTests) -> World:
    """`@racer` with two streams and one that nobody measured; `@newcomer` without any."""
    with postgres.fresh_database() as url:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path_factory.mktemp("dashboards"),
            database_url=url,
        )
        unmeasured = START - timedelta(days=3)
        return make_world(
            settings,
            {
                ("racer", "The Racer"): [
                    older_stream(),
                    MadeStream(
                        "Nobody counted", [], bounds=(unmeasured, unmeasured + timedelta(hours=1))
                    ),
                    small_stream(),
                ],
                ("newcomer", "New Here"): [],
            },
        )


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPage]:
    """Open the dashboards over the data of some settings, at an address's query parameters."""

    def open_page(settings: Settings, **query: str) -> AppTest:
        monkeypatch.setenv("AETHEX_DATA_DIR", str(settings.data_dir))
        if settings.store_url:
            monkeypatch.setenv("AETHEX_STORE_URL", settings.store_url)
        get_settings.cache_clear()
        app = AppTest.from_file(APP_PATH, default_timeout=60)
        app.query_params.update(query)
        return app.run()

    # the tester makes the page `__main__`, which a process started by a later test would run again;
    # a click runs the page anew, so this is undone when the test is over
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield open_page
    st.cache_data.clear()
    st.cache_resource.clear()
    # the tester puts the script's folder first, where modules of ours must not hide others
    sys.path[:] = [path for path in sys.path if path != str(APP_PATH.parent)]
