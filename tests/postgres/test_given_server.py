"""A Postgres given by URL, as in production: over TCP, with a password, as a user who is no
superuser.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from aethex.library import Library, upgrade
from aethex.library.channels import ensure_channel
from aethex.library.holds import Holds
from aethex.postgres import DatabaseUnreachable, database_url, prepare_embedded, wait_until_ready
from aethex.postgres.prepare import identity_for, server_environment
from aethex.settings import Settings
from tests.postgres.conftest import settings_in

PASSWORD = "it's a s3cret+/@"


@dataclass(frozen=True)
class TcpServer:
    port: int
    data_dir: Path
    socket_dir: Path

    def admin_url(self, database: str) -> str:
        return f"postgresql://aethex@/{database}?host={self.socket_dir}&port={self.port}"

    def settings(self, database: str, user: str = "app", password: str = PASSWORD) -> Settings:
        quoted = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in password)
        url = f"postgresql://{user}:{quoted}@127.0.0.1:{self.port}/{database}"
        return settings_in(self.data_dir).model_copy(update={"database_url": url})


@pytest.fixture(scope="module")
def server(made_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpServer]:
    """A server of its own on a free port, with a user `app` and two databases."""
    location = prepare_embedded(settings_in(made_database.parent.parent))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    identity = identity_for(location)
    rules = location.root / "tcp.conf"
    rules.write_text("local all all peer map=aethex\nhost all all 127.0.0.1/32 scram-sha-256\n")
    rules.chmod(0o644)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(location.socket_dir),
        "hba_file": str(rules),
        "ident_file": str(location.root / "pg_ident.conf"),
    }
    command = [str(location.bin_dir / "postgres"), "-D", str(location.data_dir)]
    with subprocess.Popen(
        [
            *command,
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=server_environment(),
        user=identity.uid if identity else None,
        group=identity.gids[0] if identity else None,
        extra_groups=[] if identity else None,
    ) as process:
        try:
            made = TcpServer(port, tmp_path_factory.mktemp("data"), location.socket_dir)
            wait_until_ready(made.admin_url("aethex"), timeout_seconds=60)
            with psycopg.connect(made.admin_url("aethex"), autocommit=True) as connection:
                quoted = PASSWORD.replace("'", "''")
                connection.execute(f"create role app login password '{quoted}'".encode())
                connection.execute("create database owned owner app")
                connection.execute("create database foreign_one")
            yield made
        finally:
            process.send_signal(2)


def test_the_owner_of_a_database_needs_no_other_right(server: TcpServer):
    settings = server.settings("owned")
    upgrade(settings)
    with Library.open(settings) as library, library.session() as s:
        ensure_channel(s, "gdq")
        assert s.scalar(text("select current_user")) == "app"
    for driver in ("psycopg", "psycopg2"):
        wait_until_ready(database_url(settings, driver), timeout_seconds=5)
    assert not settings.postgres_dir.exists()


def test_a_user_who_may_make_nothing_is_told_what_is_missing(server: TcpServer):
    with pytest.raises(DatabaseUnreachable) as caught:
        upgrade(server.settings("foreign_one"))
    message = str(caught.value)
    assert "permission denied for database foreign_one" in message
    assert "AETHEX_DATABASE_URL" in message
    assert "owner" in message
    assert "\n" not in message


def test_a_user_who_may_make_schemas_but_no_tables_is_told_so_too(server: TcpServer):
    with psycopg.connect(server.admin_url("foreign_one"), autocommit=True) as connection:
        connection.execute("grant create on database foreign_one to app")
    with pytest.raises(DatabaseUnreachable, match="permission denied for schema public"):
        upgrade(server.settings("foreign_one"))


def test_a_wrong_password_fails_at_once_and_shows_none(server: TcpServer):
    settings = server.settings("owned", password="wr0ng-one")
    with pytest.raises(DatabaseUnreachable) as caught:
        wait_until_ready(database_url(settings), timeout_seconds=3600)
    assert "password authentication failed" in str(caught.value)
    assert "wr0ng-one" not in str(caught.value)


def test_a_recorder_whose_machine_lost_its_power_is_noticed_within_half_a_minute(
    server: TcpServer,
):
    """Nobody closes its connection, which has its inputs: both sides have to ask."""
    holds = Holds(server.settings("owned"))
    assert holds.take("input")
    connection = holds._connection
    assert connection is not None
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    shown = [connection.execute(f"show {name}".encode()).fetchone() for name in names]
    assert shown == [("10",), ("5",), ("4",)]
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    holds.close()
