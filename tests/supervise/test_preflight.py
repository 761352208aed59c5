"""What is in the way is one line that says which, and what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aethex.postgres import DatabaseUnreachable
from aethex.settings import Settings
from aethex.store import StoreUnreachable
from aethex.supervise import preflight
from aethex.supervise.errors import CannotStart


def settings_of(tmp_path: Path, **more: Any) -> Settings:
    ports = {"service_port": 0, "dagster_port": 0, "dashboards_port": 0, "rtmp_port": 0}
    free = dict(zip(ports, free_ports(4), strict=True))
    return Settings(_env_file=None, data_dir=tmp_path / "data", **{**free, **more})  # pyright: ignore[reportCallIssue]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_nothing_in_the_way(tmp_path: Path, database_url: str) -> None:
    preflight.check_all(settings_of(tmp_path, database_url=database_url), with_demo=True)


def test_a_taken_port_names_who_has_it_and_the_setting(tmp_path: Path, taken_port: int) -> None:
    settings = settings_of(tmp_path, dashboards_port=taken_port)
    with pytest.raises(CannotStart) as refused:
        preflight.check_ports(settings)
    message = str(refused.value)
    assert f"Port {taken_port} is taken" in message
    assert "AETHEX_DASHBOARDS_PORT" in message
    if Path("/proc/net/tcp").exists():
        assert f"(pid {os.getpid()})" in message


def test_one_port_for_two_parts_names_both(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = settings_of(tmp_path, service_port=port, dagster_port=port)
    with pytest.raises(CannotStart, match="AETHEX_SERVICE_PORT and AETHEX_DAGSTER_PORT"):
        preflight.check_ports(settings)


def test_a_foreign_address_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="AETHEX_HOST"):
        preflight.check_ports(settings_of(tmp_path, host="192.0.2.1"))


def test_too_little_room_names_the_folder_and_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=300 * 1024**2)
    )
    settings = settings_of(tmp_path)
    with pytest.raises(CannotStart) as refused:
        preflight.check_all(settings, with_demo=False)
    message = str(refused.value)
    assert str(settings.data_dir) in message
    assert "0.29 GiB" in message
    assert "AETHEX_DATA_DIR" in message


def test_a_data_folder_that_is_a_file_names_the_setting(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.data_dir.write_text("in the way")
    with pytest.raises(CannotStart, match="AETHEX_DATA_DIR"):
        preflight.check_folders(settings, 1)


def test_an_unreachable_database_names_the_setting_and_hides_the_password(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"postgresql://me:hunter2@127.0.0.1:{port}/aethex"
    with pytest.raises(DatabaseUnreachable) as refused:
        preflight.check_all(settings_of(tmp_path, database_url=url), with_demo=False)
    assert "AETHEX_DATABASE_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_an_unreachable_store_names_the_setting(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = settings_of(
        tmp_path,
        store_url="s3://bucket/prefix",
        store_endpoint=f"http://127.0.0.1:{port}",
        store_access_key_id="id",
        store_secret_access_key="secret",
    )
    with pytest.raises(StoreUnreachable, match="AETHEX_STORE_URL"):
        preflight.check_all(settings, with_demo=False)
