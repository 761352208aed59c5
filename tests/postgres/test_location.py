"""Where the embedded server's files lie. Nothing is started here, and nothing is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aethex.postgres import EmbeddedUnusable, embedded_location
from aethex.postgres import location as location_module
from aethex.postgres.location import Identity
from tests.postgres.conftest import settings_in


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def closed_home(open_folder: Path) -> Path:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    return home


@pytest.mark.usefixtures("as_user")
def test_a_user_who_is_not_root_keeps_everything_in_the_data_folder(closed_home):
    location = embedded_location(settings_in(closed_home / "data"))
    assert location.data_dir == closed_home / "data" / "postgres" / "cluster"
    assert location.socket_dir == closed_home / "data" / "postgres" / "socket"
    assert (location.user, location.moved_because) == (None, None)


@pytest.mark.usefixtures("as_root")
def test_as_root_the_server_has_a_user_of_its_own(open_folder):
    location = embedded_location(settings_in(open_folder / "data"))
    assert location.root == open_folder / "data" / "postgres"
    assert location.user == "embedded_postgres"


@pytest.mark.usefixtures("as_root")
def test_as_root_under_a_closed_home_the_database_moves_and_says_so(closed_home, moved_base):
    location = embedded_location(settings_in(closed_home / "data"))
    assert location.root.is_relative_to(moved_base)
    assert location.moved_because is not None
    assert str(closed_home) in location.moved_because
    assert str(location.root) in location.moved_because
    assert location == embedded_location(settings_in(closed_home / "data"))
    assert location.root != embedded_location(settings_in(closed_home / "other")).root


@pytest.mark.usefixtures("as_root")
def test_a_moved_database_stays_where_it_is_when_the_home_opens(closed_home, moved_base):
    settings = settings_in(closed_home / "data")
    moved = embedded_location(settings)
    moved.data_dir.mkdir(parents=True)
    (moved.data_dir / "PG_VERSION").write_text("18\n")
    closed_home.chmod(0o755)
    assert embedded_location(settings).data_dir == moved.data_dir
    assert moved.data_dir.is_relative_to(moved_base)


@pytest.mark.usefixtures("as_root", "moved_base")
def test_a_database_whose_home_was_closed_is_not_replaced_by_an_empty_one(closed_home):
    cluster = closed_home / "data" / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("18\n")
    os.chown(cluster, 65534 if os.getuid() == 0 else -1, -1)
    closed_home.chmod(0o600)
    if os.getuid() != 0:
        closed_home.chmod(0o700)
        pytest.skip("only root can look into a folder that its owner cannot enter")
    with pytest.raises(EmbeddedUnusable, match=r"can no longer be entered.*chmod o\+x"):
        embedded_location(settings_in(closed_home / "data"))


@pytest.mark.usefixtures("as_root")
def test_binaries_that_the_servers_user_cannot_run_are_copied(
    open_folder, closed_home, moved_base, monkeypatch
):
    binaries = closed_home / "venv" / "bin"
    binaries.mkdir(parents=True)
    monkeypatch.setattr(location_module, "wheel_binaries", lambda: binaries)
    location = embedded_location(settings_in(open_folder / "data"))
    assert location.root == open_folder / "data" / "postgres"
    assert location.bin_dir.is_relative_to(moved_base)
    assert location.moved_because is not None
    assert "binaries" in location.moved_because


@pytest.mark.usefixtures("as_user")
def test_a_socket_whose_path_would_be_too_long_gets_a_short_one(open_folder):
    long = embedded_location(settings_in(open_folder / ("x" * 120)))
    assert long.socket_dir.parent == Path("/tmp")
    assert len(os.fsencode(long.socket_path)) <= 103
    other = embedded_location(settings_in(open_folder / ("y" * 120)))
    assert long.socket_dir != other.socket_dir


def test_a_missing_wheel_is_named_with_the_remedy(open_folder, monkeypatch):
    monkeypatch.setattr(location_module, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedUnusable, match="make install"):
        embedded_location(settings_in(open_folder))


@pytest.mark.parametrize(
    ("mode", "uid", "gids", "may"),
    [
        (0o700, "owner", (), True),
        (0o700, "other", (), False),
        (0o710, "other", ("group",), True),
        (0o701, "other", ("group",), False),  # the group's bits count, not everybody's
        (0o701, "other", (), True),
        (0o077, "owner", (), False),
    ],
)
def test_who_may_enter_is_decided_as_the_kernel_does(tmp_path, mode, uid, gids, may):
    # Everything above the folder is left out: only its own mode is looked at.
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    info = folder.stat()
    who = Identity(
        info.st_uid if uid == "owner" else info.st_uid + 1,
        tuple(info.st_gid for _ in gids),
    )
    assert who._has_search_bit(folder) == may  # pyright: ignore[reportPrivateUsage]
    folder.chmod(0o700)
