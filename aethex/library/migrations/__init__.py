"""The tables' history: one file a change in `versions/`, applied by Alembic.

`upgrade(settings)` is what everybody calls. A new change is drafted with
`.venv/bin/alembic revision --autogenerate -m "…"` and then read: Alembic does not see everything.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ProgrammingError

from aethex.library.database import open_engine
from aethex.library.errors import SchemaMismatch
from aethex.postgres import database_url, ensure_schemas, forbidden
from aethex.settings import Settings

VERSION_TABLE = "library_version"
"""Not Alembic's default name: Dagster and pyiceberg keep their own versions in the same
database.
"""

_LOCK = text("select pg_advisory_xact_lock(hashtext('aethex library migrations'))")


def upgrade(settings: Settings) -> None:
    """Bring the database to this program's tables; also make the schemas of Dagster and Iceberg.

    Repeating it changes nothing. Several processes may call it at once: one works, the others wait.
    All changes are one transaction. Raises DatabaseUnreachable (also when the server forbids it),
    or SchemaMismatch when the database is newer than this program.
    """
    ensure_schemas(settings)
    engine = open_engine(settings, has_limits=False)  # the waiting ones wait as long as it takes
    try:
        with engine.begin() as connection:
            connection.execute(_LOCK)
            command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise SchemaMismatch(
            f"The database's tables are of a version that this program does not know ({error}): "
            "run the newer program, or restore a backup from before its upgrade."
        ) from error
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise forbidden(database_url(settings), error.orig) from error
    finally:
        engine.dispose()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, to run on this connection or on one of the settings' database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
