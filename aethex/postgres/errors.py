"""What can go wrong with Postgres itself. Every message is one line that names the cause and the
remedy.
"""

from __future__ import annotations


class PostgresError(Exception):
    """Base of this package's errors."""


class DatabaseUnreachable(PostgresError):
    """The database does not answer, or refuses us."""


class EmbeddedUnusable(PostgresError):
    """The embedded server's folder, user or binaries cannot be used as they are."""


class AlreadyRunning(PostgresError):
    """A server already runs on this data folder."""
