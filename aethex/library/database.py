"""The library's engine and sessions.

What belongs here: connecting, transactions, time limits. What does not: queries (the modules by
noun) and the tables' changes (`migrations`). Sessions are synchronous; the service calls them in
FastAPI's thread pool (a plain `def` route), where a query of a millisecond costs less than an async
driver's detours.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.orm import Session, sessionmaker

from aethex.library.errors import SchemaMismatch
from aethex.postgres import database_url, unreachable
from aethex.settings import Settings

# No query of the library is long: one that is hangs on a lock, and holds up what waits behind it.
_LIMITS = {
    "statement_timeout": "60s",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "300s",
}
# Each query is planned for its values. A plan for any value does not know how long a list of ids
# is, and takes seconds for 10,000 of them where the other takes milliseconds.
_PLANNING = {"plan_cache_mode": "force_custom_plan"}
_POOL_SIZE = 5
_POOL_OVERFLOW = 15  # as many threads as wait at once in the service's pool, within max_connections
_POOL_WAIT_SECONDS = 10


def open_engine(settings: Settings, *, has_limits: bool = True) -> Engine:
    """An engine on the library's tables. Connecting happens at first use.

    Using it raises DatabaseUnreachable when the database does not answer, and SchemaMismatch when
    its tables are not there.
    """
    limits = _LIMITS if has_limits else {}
    url = database_url(settings, schema="public", server_settings=_PLANNING | limits)
    engine = create_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_pre_ping=True,  # a database that was restarted costs nobody an error
        connect_args={
            "application_name": "aethex library",
            # A network that swallows packets is noticed within half a minute, not two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
        },
    )

    def name_the_remedy(context: ExceptionContext) -> None:
        error = context.original_exception
        # A failed pre-ping is no error yet: the pool connects anew.
        if context.connection is None and not context.is_pre_ping:
            raise unreachable(url, error) from error
        if isinstance(error, UndefinedTable | UndefinedColumn):
            raise SchemaMismatch(
                "The database does not have this program's tables yet: run `aethex migrate`."
            ) from error

    event.listen(engine, "handle_error", name_the_remedy)
    return engine


class Library:
    """The records, by sessions: `with Library.open(settings) as library, library.session() as
    s:`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The library of these settings. Its tables must be there (`upgrade`)."""
        return cls(open_engine(settings))

    @contextmanager
    def session(self) -> Generator[Session]:
        """One transaction: committed when the block ends well, rolled back when it raises.

        Objects stay readable afterwards. Nobody else commits. Raises DatabaseUnreachable.
        """
        with self._sessions.begin() as session:
            yield session

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
