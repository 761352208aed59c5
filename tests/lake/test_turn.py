"""One writer at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from aethex.lake.turn import lake_turn
from aethex.postgres import DatabaseUnreachable
from aethex.settings import Settings

HOLDER = """
import sys
from aethex.lake.turn import lake_turn
from aethex.settings import get_settings
with lake_turn(get_settings()):
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_waits_until_the_first_has_ended(settings: Settings) -> None:
    waits, order = threading.Event(), []

    def second() -> None:
        with lake_turn(settings, waits.set):
            order.append("second")

    with lake_turn(settings):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_killed_run_gives_its_turn_back(settings: Settings) -> None:
    environment = {**os.environ, "AETHEX_DATABASE_URL": settings.database_url or ""}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    holder.kill()
    holder.wait()
    with lake_turn(settings):
        pass


def test_a_run_without_a_database_is_told_so(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:1/y"})
    with pytest.raises(DatabaseUnreachable), lake_turn(away):
        pass
