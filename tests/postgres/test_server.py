"""Running the embedded server: for a command, under supervision, and through crashes."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from aethex.postgres import (
    DatabaseUnreachable,
    EmbeddedUnusable,
    database_url,
    embedded_location,
    prepare_embedded,
    start_embedded,
    stop_supervised,
    wait_until_ready,
)
from aethex.settings import Settings
from tests.postgres.conftest import settings_in

SUPERVISED = "exec_embedded(settings)"
ONE_SHOT = """
with start_embedded(settings):
    print("ready", flush=True)
    sys.stdin.read()
"""


def query(settings: Settings, statement: str) -> object:
    with psycopg.connect(database_url(settings, "")) as connection:
        row = connection.execute(statement.encode())
        return row.fetchone() if row.description else None


def pid_of(settings: Settings) -> int:
    text = (embedded_location(settings).data_dir / "postmaster.pid").read_text()
    return int(text.split("\n")[0])


def answers(settings: Settings) -> bool:
    try:
        wait_until_ready(database_url(settings), timeout_seconds=0)
    except DatabaseUnreachable:
        return False
    return True


@contextmanager
def stopped_at_the_end(process: subprocess.Popen[str]):
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture
def supervised(prepared: Settings, python_as):
    """The server as supervisor runs it, answering."""
    with stopped_at_the_end(python_as(SUPERVISED, prepared.data_dir)) as process:
        wait_until_ready(database_url(prepared), timeout_seconds=60)
        yield process


def test_the_server_answers_while_the_block_runs_and_is_gone_after(prepared: Settings):
    with start_embedded(prepared) as url:
        assert url == database_url(prepared)
        assert query(prepared, "show listen_addresses") == ("",)
        assert query(prepared, "show fsync") == ("on",)
        pid = pid_of(prepared)
    assert not answers(prepared)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_was_written_is_there_at_the_next_start(prepared: Settings):
    with start_embedded(prepared):
        query(prepared, "create table kept as select 1 as one")
    with start_embedded(prepared):
        assert query(prepared, "select * from kept") == (1,)


def test_users_of_one_server_share_it_and_the_last_one_stops_it(prepared: Settings):
    with ExitStack() as first:
        first.enter_context(start_embedded(prepared))
        pid = pid_of(prepared)
        with start_embedded(prepared):
            assert pid_of(prepared) == pid
            first.close()
            assert query(prepared, "select 1") == (1,)
    assert not answers(prepared)


def test_many_that_start_at_once_on_a_fresh_folder_all_get_an_answer(embedded: Settings):
    def use(_n: int) -> object:
        with start_embedded(embedded):
            return query(embedded, "select 1")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(16))) == [(1,)] * 16
    assert not answers(embedded)


def test_a_long_path_gets_a_socket_that_works(open_folder):
    settings = settings_in(open_folder / ("long" * 30))
    with start_embedded(settings):
        assert query(settings, "select 1") == (1,)
    embedded_location(settings).socket_dir.rmdir()


def test_a_given_database_is_used_and_nothing_is_started(settings: Settings):
    with start_embedded(settings) as url:
        assert url == database_url(settings)
        assert query(settings, "select 1") == (1,)
    assert not settings.postgres_dir.exists()


def test_a_supervised_server_outlives_the_commands_that_use_it(prepared: Settings, supervised):
    with start_embedded(prepared):
        assert pid_of(prepared) == supervised.pid
    assert answers(prepared)
    supervised.send_signal(signal.SIGINT)
    assert supervised.wait(timeout=60) == 0


def test_a_second_server_on_the_same_folder_says_which_one_runs(
    prepared: Settings, supervised, python_as
):
    second = python_as(SUPERVISED, prepared.data_dir)
    error = second.communicate(timeout=60)[1]
    assert second.returncode != 0
    assert error.startswith("AlreadyRunning")
    assert f"pid {supervised.pid}" in error
    assert "AETHEX_DATA_DIR" in error
    assert answers(prepared)


def test_after_a_kill_the_supervised_server_comes_back_with_all_that_was_committed(
    prepared: Settings, supervised, python_as
):
    query(prepared, "create table kept as select 1 as one")
    os.kill(supervised.pid, signal.SIGKILL)
    supervised.wait(timeout=60)
    with stopped_at_the_end(python_as(SUPERVISED, prepared.data_dir)):
        wait_until_ready(database_url(prepared), timeout_seconds=60)
        assert query(prepared, "select * from kept") == (1,)


def test_a_server_whose_supervisor_was_killed_can_be_stopped(prepared: Settings, supervised):
    stop_supervised(prepared)
    assert not answers(prepared)
    assert supervised.wait(timeout=60) == 0
    stop_supervised(prepared)


def test_stopping_what_a_supervisor_left_spares_the_servers_of_commands(prepared: Settings):
    stop_supervised(prepared)
    with start_embedded(prepared):
        stop_supervised(prepared)
        assert query(prepared, "select 1") == (1,)


def test_a_pid_file_whose_number_is_now_another_process_does_not_block_the_start(
    prepared: Settings,
):
    """In a container that was started anew, low numbers are taken again by anything."""
    location = prepare_embedded(prepared)
    with start_embedded(prepared):
        written = (location.data_dir / "postmaster.pid").read_text()
        pid = pid_of(prepared)
        os.kill(pid, signal.SIGKILL)
    owner = location.data_dir.stat()
    other = subprocess.Popen(["sleep", "600"], user=owner.st_uid, cwd="/")
    (location.data_dir / "postmaster.pid").write_text(written.replace(str(pid), str(other.pid), 1))
    try:
        with start_embedded(prepared):
            assert query(prepared, "select 1") == (1,)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_left_by_a_killed_command_is_used_and_then_stopped(prepared: Settings, python_as):
    command = python_as(ONE_SHOT, prepared.data_dir)
    assert command.stdout.readline() == "ready\n"
    pid = pid_of(prepared)
    command.kill()
    command.communicate()
    assert answers(prepared), "the server lives in a session of its own"
    with start_embedded(prepared):
        assert pid_of(prepared) == pid
    assert not answers(prepared)


def test_a_supervised_start_replaces_a_server_left_by_a_killed_command(
    prepared: Settings, python_as
):
    command = python_as(ONE_SHOT, prepared.data_dir)
    assert command.stdout.readline() == "ready\n"
    left = pid_of(prepared)
    command.kill()
    command.communicate()
    with stopped_at_the_end(python_as(SUPERVISED, prepared.data_dir)) as process:
        while process.poll() is None:
            if answers(prepared) and pid_of(prepared) == process.pid:
                break
        assert process.poll() is None
        assert process.pid != left


def test_ctrl_c_on_a_command_does_not_reach_the_server_of_others(prepared: Settings, python_as):
    command = python_as("import os; os.setsid()\n" + ONE_SHOT, prepared.data_dir)
    assert command.stdout.readline() == "ready\n"
    with start_embedded(prepared):
        os.killpg(command.pid, signal.SIGINT)
        command.communicate()
        assert query(prepared, "select 1") == (1,)
    assert not answers(prepared)


def test_a_server_that_cannot_start_says_why(prepared: Settings):
    with (
        pytest.raises(EmbeddedUnusable, match="shared_buffers"),
        start_embedded(prepared, options={"shared_buffers": "nonsense"}),
    ):
        pass
    with start_embedded(prepared):
        assert query(prepared, "select 1") == (1,)
