"""Holds: which process records an input, known to all of them by the database's own locks.

What belongs here: taking and giving back. What does not: what is done under a hold.

A hold is a lock of the holder's connection (Postgres' session-level advisory locks), so it ends
with its process at once, by whatever death, and no time-out has to be waited for: the next recorder
may go on in the same second. A job's lease (`jobs`) would be kept for half a minute.
"""

from __future__ import annotations

import threading
from typing import LiteralString

import psycopg

from aethex.postgres import database_url, unreachable
from aethex.settings import Settings

_SPACE = 24_256  # keeps these locks apart from others'
_TAKE = "select pg_try_advisory_lock(%s, hashtext(%s))"
_GIVE = "select pg_advisory_unlock(%s, hashtext(%s))"


class Holds:
    """One process' holds, on a connection of their own. May be used from several threads.

    All methods but `close` raise DatabaseUnreachable.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = database_url(settings, driver="")
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
                self._url, autocommit=True, application_name="aethex recorder holds"
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
