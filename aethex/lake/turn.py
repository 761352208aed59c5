"""One writer of the lake at a time: a run waits for its turn and keeps it until it ends.

What belongs here: the lock. Every table and build stays consistent without it (commits are checked
and repeated), but two runs that compute the same days would do the work twice, and a build must not
take one table from before and another from after a run that is half done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import psycopg

from aethex.postgres import database_url, unreachable
from aethex.settings import Settings

_LOCK = "select pg_advisory_lock(hashtext('aethex lake writer'))"
_TRY = "select pg_try_advisory_lock(hashtext('aethex lake writer'))"


@contextmanager
def lake_turn(settings: Settings, on_wait: Callable[[], None] | None = None) -> Generator[None]:
    """Hold the lake's turn; `on_wait` is called when another run has it. kill -9 gives it back.

    Raises DatabaseUnreachable.
    """
    url = database_url(
        settings, driver="", server_settings={"statement_timeout": "0", "lock_timeout": "0"}
    )
    try:
        connection = psycopg.connect(url, autocommit=True, application_name="aethex lake turn")
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from error
    with connection:
        row = connection.execute(_TRY).fetchone()
        if row is None or not row[0]:
            if on_wait is not None:
                on_wait()
            connection.execute(_LOCK)
        yield
