"""While events flow, everything is killed in turn: what was acknowledged is there exactly once.

The short form breaks each thing once. `make soak` goes on breaking them for five minutes
(`--soak-seconds`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aethex.lake import Lake
from aethex.lake.event_tables import CHAT_MESSAGES
from aethex.lake.publish import publish
from aethex.lake.quarantine import PREFIX as QUARANTINE
from aethex.lake.reconciliation import count_window
from aethex.lake.windows import published_windows
from aethex.library import Library
from aethex.settings import PROJECT_DIR, Settings
from aethex.store import open_store
from tests.chaos.senders import Senders
from tests.folders import open_folder
from tests.service.sending import add_place, landed
from tests.supervise.platform import Platform, environment, eventually, running
from tests.supervise.test_preflight import settings_of

BUFFER = 4_000
SENDERS = 6
PROGRESS = 400
"""Events that have to be acknowledged after each blow before the next one falls."""


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A platform of its own, its Postgres too, with a buffer that is soon full."""
    with open_folder() as folder:
        yield settings_of(folder).model_copy(update={"events_buffer_rows": BUFFER})


def test_what_was_acknowledged_is_there_once_whatever_is_killed(
    settings: Settings, pytestconfig: pytest.Config
) -> None:
    with running(settings) as platform:
        platform.wait_for_line("AeThex runs")
        with Library.open(settings) as library:
            place = add_place(library)
        url = f"http://127.0.0.1:{settings.service_port}"
        senders = Senders(url, place.token, place.stream_id)
        with _publisher(settings) as publisher, senders.running(SENDERS):
            senders.wait_for_more(PROGRESS)
            _break_everything(
                platform, publisher, senders, float(pytestconfig.getoption("soak_seconds") or 0)
            )
        with Lake.open(settings) as lake:
            publish(lake)
            _check(lake, senders)
    assert senders.answers["429"] > 0
    assert senders.answers["503"] > 0
    assert senders.answers["broken"] > 0


def _break_everything(
    platform: Platform, publisher: Publisher, senders: Senders, seconds: float
) -> None:
    """Each blow in turn, and the same again until the time is over."""
    blows: list[Callable[[], None]] = [
        lambda: _kill(platform, "service"),
        publisher.kill_and_restart,
        lambda: _kill(platform, "daemon"),
        lambda: _kill(platform, "postgres"),
        lambda: _cut_the_store_off(platform.settings, senders),
        lambda: senders.flood(BUFFER // 900 * 3),
    ]
    until = time.monotonic() + seconds
    is_first_round = True
    while is_first_round or time.monotonic() < until:
        for blow in blows:
            blow()
            senders.wait_for_more(PROGRESS)
        is_first_round = False


def _kill(platform: Platform, name: str) -> None:
    """kill -9, and wait until supervisor has started it again."""
    pid = platform.states()[name].pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: platform.states()[name].pid not in (0, pid))


def _cut_the_store_off(settings: Settings, senders: Senders) -> None:
    """Put a file in the place of the store's folder until somebody was refused."""
    store = settings.data_dir / "store"
    away = store.with_name("store.away")
    before = senders.answers["503"]
    store.rename(away)
    store.touch()
    try:
        eventually(lambda: senders.answers["503"] > before)
    finally:
        store.unlink()
        away.rename(store)


class Publisher:
    """A publisher in a process of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.publisher"],
            cwd=PROJECT_DIR,
            env=environment(self._settings),
        )

    def kill_and_restart(self) -> None:
        self.kill()
        self.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def _publisher(settings: Settings) -> Iterator[Publisher]:
    publisher = Publisher(settings)
    try:
        yield publisher
    finally:
        publisher.kill()


def _check(lake: Lake, senders: Senders) -> None:
    rows = lake.table(CHAT_MESSAGES).scan(selected_fields=("event_id",)).to_arrow()
    there = rows.column("event_id").to_pylist()
    assert len(there) == len(set(there)), "an event is there twice"
    assert senders.accepted <= set(there), "an acknowledged event is missing"
    assert not senders.rejected & set(there), "a rejected event is there"
    assert set(there) <= senders.sent
    assert senders.sent == senders.accepted | senders.rejected
    quarantined = {row["event_id"] for row in landed(open_store(lake.settings), QUARANTINE)}
    assert senders.rejected <= quarantined, "a rejected event is not in quarantine"
    assert all(count_window(lake, marker).adds_up for marker in published_windows(lake))
