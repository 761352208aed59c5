"""Where the platform's Postgres is, and the embedded server that runs when none is given.

What belongs here: the database's address and its errors (`urls.py`), where the embedded server's
files lie and which user may reach them (`location.py`), making that folder ready (`prepare.py`),
and running the server (`server.py`). What does not: tables and queries; those are the library's.
"""

from aethex.postgres.errors import (
    AlreadyRunning,
    DatabaseUnreachable,
    EmbeddedUnusable,
    PostgresError,
)
from aethex.postgres.location import EmbeddedLocation, embedded_location
from aethex.postgres.prepare import prepare_embedded
from aethex.postgres.server import exec_embedded, start_embedded, stop_supervised
from aethex.postgres.urls import (
    SCHEMAS,
    database_url,
    ensure_schemas,
    forbidden,
    masked,
    unreachable,
    wait_until_ready,
)

__all__ = [
    "SCHEMAS",
    "AlreadyRunning",
    "DatabaseUnreachable",
    "EmbeddedLocation",
    "EmbeddedUnusable",
    "PostgresError",
    "database_url",
    "embedded_location",
    "ensure_schemas",
    "exec_embedded",
    "forbidden",
    "masked",
    "prepare_embedded",
    "start_embedded",
    "stop_supervised",
    "unreachable",
    "wait_until_ready",
]
