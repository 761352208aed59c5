"""One embedded Postgres for all tests, shared between xdist workers and test runs at the same time.

The server keeps its folder between runs (no `initdb` again), the last user stops it. A migrated
template database is made once for each state of the migrations; each test gets a copy of it (about
50 ms).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

import aethex.library.migrations
import aethex.library.models
from aethex.library import upgrade
from aethex.postgres import start_embedded
from aethex.settings import PROJECT_DIR, Settings

_TEST_PREFIX = "test"
_FAST = {
    # Nothing here outlives a crash of the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # It may lie in memory.
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}


@dataclass(frozen=True)
class PostgresForTests:
    """A running server, and the template of its databases."""

    server_url: str
    template: str

    def url(self, database: str) -> str:
        """Plain libpq URL of one of the server's databases."""
        url = make_url(self.server_url).set(drivername="postgresql", database=database)
        return url.render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def disconnect(self, url: str) -> None:
        """End all connections to one of the server's databases."""
        self.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            f"where datname = '{make_url(url).database}'"
        )

    @contextmanager
    def fresh_database(
        self, *, is_migrated: bool = True, like: str | None = None
    ) -> Generator[str]:
        """A database of one's own, dropped afterwards. Its name holds the pid of who will drop
        it.

        like: the URL of a database of which it is a copy; nobody may be connected to that.
        """
        name = f"{_TEST_PREFIX}_{os.getpid()}_{uuid4().hex[:16]}"
        template = self.template if is_migrated else "template1"
        if like is not None:
            template = make_url(like).database
        self.execute(f"create database {name} template {template} strategy file_copy")
        try:
            yield self.url(name)
        finally:
            self.execute(f"drop database {name} with (force)")


@contextmanager
def shared_postgres() -> Generator[PostgresForTests]:
    """Start the server, or join the one that another worker or test run has started."""
    settings = Settings(_env_file=None, data_dir=_folder())  # pyright: ignore[reportCallIssue]
    with start_embedded(settings, options=_FAST) as url:
        postgres = PostgresForTests(url, f"template_{_state_of_migrations()}")
        _make_template(postgres)
        yield postgres


def _folder() -> Path:
    """Kept between runs, and short: a socket's path has a limit."""
    who = f"{PROJECT_DIR}\n{os.geteuid()}"
    return fast_base() / f"aethex-tests-{hashlib.sha256(who.encode()).hexdigest()[:12]}"


def fast_base() -> Path:
    """Memory where there is enough of it: databases are many small files, made and deleted."""
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3
    return memory if is_roomy else Path("/tmp")


def _state_of_migrations() -> str:
    folder = Path(aethex.library.migrations.__file__).parent
    models = Path(aethex.library.models.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*folder.rglob("*.py"), *models.glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make_template(postgres: PostgresForTests) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        # Also released when we die: it belongs to this connection.
        connection.execute("select pg_advisory_lock(hashtext('test template'))")
        names = {row[0] for row in connection.execute("select datname from pg_database")}
        _drop_left_overs(connection, names)
        if postgres.template in names:
            return
        unfinished = f"{postgres.template}_new"
        connection.execute(f"drop database if exists {unfinished} with (force)".encode())
        connection.execute(f"create database {unfinished}".encode())
        upgrade(
            Settings(_env_file=None, database_url=postgres.url(unfinished))  # pyright: ignore[reportCallIssue]
        )
        connection.execute(f"alter database {unfinished} rename to {postgres.template}".encode())


def _drop_left_overs(connection: psycopg.Connection, names: set[str]) -> None:
    """Databases of test runs that were killed, and so could not drop them."""
    for name in names:
        parts = name.split("_")
        if parts[0] == _TEST_PREFIX and len(parts) == 3 and not _is_alive(int(parts[1])):
            connection.execute(f"drop database if exists {name} with (force)".encode())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
