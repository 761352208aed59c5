"""Holds: which process records an input, known to all of them by the database's own locks.

What belongs here: taking and giving back, and who has one. What does not: what is done under one.

A hold is a lock of the holder's connection (Postgres' session-level advisory locks), so it ends
with its process at once, by whatever death, and no time-out has to be waited for: the next recorder
may go on in the same second. A job's lease (`jobs`) would be kept for half a minute, as a hold is
only when the holder's machine dies.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.orm import Session

from aethex.postgres import database_url, unreachable
from aethex.settings import Settings

_SPACE = 24_256  # keeps these locks apart from others'
_TAKE = "select pg_try_advisory_lock(%s, hashtext(%s))"
_GIVE = "select pg_advisory_unlock(%s, hashtext(%s))"

_APPLICATION = "aethex recorder "
_HOST_CHARACTERS = 32  # Postgres keeps 63 of the whole name

# A machine that lost its power, or its network, closes no connection. Both notice in half a
# minute: the server, so that another recorder may go on; we, so that nothing waits for it.
_SERVER_ASKS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
_HOLDERS = text(
    """
    select name, a.application_name, a.backend_start
    from unnest(:names) as name
    join pg_locks l on l.objid = (hashtext(name)::bigint & 4294967295)::oid
    join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.classid = :space and l.objsubid = 2 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
    """
).bindparams(bindparam("names", type_=ARRAY(Text)), space=_SPACE)


@dataclass(frozen=True)
class Holder:
    """A process that has holds: `host:process id`, and since when it is connected."""

    name: str
    connected_at: datetime


def holders(s: Session, names: Collection[str]) -> dict[str, Holder]:
    """Who holds each of these names now; names that nobody holds are left out."""
    rows = s.execute(_HOLDERS, {"names": [*names]})
    return {
        name: Holder(application.removeprefix(_APPLICATION), connected_at)
        for name, application, connected_at in rows
    }


class Holds:
    """One process' holds, on a connection of their own. May be used from several threads.

    All methods but `close` raise DatabaseUnreachable.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = database_url(settings, driver="", server_settings=_SERVER_ASKS)
        self._connection: psycopg.Connection | None = None
        self._held: set[str] = set()
        self._lost: set[str] = set()
        self._lock = threading.Lock()

    def take(self, name: str) -> bool:
        """Whether this process holds `name` now. Taking it twice is taking it once."""
        with self._lock:
            connection = self._connected()
            if name not in self._held and self._ask(connection, _TAKE, name):
                self._held.add(name)
            return name in self._held

    def give(self, name: str) -> None:
        """Give it back; nothing when it is not held."""
        with self._lock:
            if name in self._held:
                self._held.discard(name)
                self._ask(self._connected(), _GIVE, name)

    def lost(self) -> set[str]:
        """What a broken connection let go and somebody else has by now; each is told once.

        While the database is away nothing is lost, as nobody can take it either.
        """
        with self._lock:
            if self._held:
                self._connected()
            lost, self._lost = self._lost, set()
            return lost

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            self._held.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> psycopg.Connection:
        """A connection that answers; on a new one all that was held is taken again."""
        if self._connection is not None:
            try:
                self._connection.execute("select 1")
            except psycopg.Error:
                self._connection.close()
                self._connection = None
            else:
                return self._connection
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                application_name=_application_name(),
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=4,
                tcp_user_timeout=30_000,
            )
        except psycopg.Error as error:
            raise unreachable(self._url, error) from error
        gone = {name for name in sorted(self._held) if not self._ask(connection, _TAKE, name)}
        self._held -= gone
        self._lost |= gone
        self._connection = connection
        return connection

    def _ask(self, connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
        try:
            row = connection.execute(query, (_SPACE, name)).fetchone()
        except psycopg.Error as error:
            raise unreachable(self._url, error) from error
        return bool(row and row[0])


def _application_name() -> str:
    """By which others find the process that has a hold."""
    return f"{_APPLICATION}{socket.gethostname()[:_HOST_CHARACTERS]}:{os.getpid()}"
