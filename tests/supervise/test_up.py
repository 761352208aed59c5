"""The whole platform: up, healed, stopped, without a process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from aethex.settings import PROJECT_DIR, Settings
from tests.folders import open_folder
from tests.supervise.platform import (
    PATIENCE_SECONDS,
    Platform,
    environment,
    eventually,
    running,
)
from tests.supervise.test_preflight import settings_of

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes in /proc"
)


@pytest.fixture
def up_settings() -> Iterator[Settings]:
    """An embedded Postgres and free ports; the folder tells these processes from all others."""
    with open_folder() as folder:
        yield settings_of(folder)


def test_everything_answers_heals_alone_and_stops_on_ctrl_c(up_settings: Settings) -> None:
    with running(up_settings) as platform:
        platform.wait_for_line("AeThex runs")
        answers = {
            name: httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30, follow_redirects=True)
            for name, port, path in (
                ("service", up_settings.service_port, "/readyz"),
                ("pages", up_settings.service_port, "/"),
                ("dagster", up_settings.dagster_port, "/server_info"),
                ("dashboards", up_settings.dashboards_port, "/"),
            )
        }
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
            answers, 200
        )
        _starting_again_says_that_it_runs(platform)
        _one_that_is_killed_comes_back_alone(platform)

        platform.process.send_signal(signal.SIGINT)
        platform.wait_for_line("Stopped.")
        assert platform.process.wait(PATIENCE_SECONDS) == 0
        assert platform.processes() == set()


def test_nothing_survives_when_the_command_is_killed(up_settings: Settings) -> None:
    with running(up_settings) as platform:
        platform.wait_for_line("Postgres is ready")
        platform.process.kill()
        eventually(lambda: not platform.processes())
    with running(up_settings) as platform:
        platform.wait_for_line("Postgres is ready")


def test_nothing_is_left_over_when_supervisord_is_killed(up_settings: Settings) -> None:
    with running(up_settings) as platform:
        platform.wait_for_line("Postgres is ready")
        pid = int((up_settings.run_dir / "supervisord.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        platform.wait_for_line("The supervisor ended")
        assert platform.process.wait(PATIENCE_SECONDS) == 1
        eventually(lambda: not platform.processes())


def _starting_again_says_that_it_runs(platform: Platform) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "aethex", "up"],
        cwd=PROJECT_DIR,
        env=environment(platform.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert f"pid {platform.process.pid}" in again.stdout
    assert str(platform.settings.service_port) in again.stdout


def _one_that_is_killed_comes_back_alone(platform: Platform) -> None:
    before = {name: state.pid for name, state in platform.states().items()}
    os.kill(before["service"], signal.SIGKILL)
    platform.wait_for_line("Service ended and was started again")
    after = {name: state.pid for name, state in platform.states().items()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"service"}
