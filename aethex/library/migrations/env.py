"""Run by Alembic, within the caller's connection and transaction when there is one."""

from __future__ import annotations

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.engine import Connection

from aethex.library.columns import UtcDateTime
from aethex.library.database import open_engine
from aethex.library.migrations import VERSION_TABLE
from aethex.library.models import Base
from aethex.settings import get_settings


def render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Migrations name the database's types only: a type of ours may change after them."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
        render_item=render,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with open_engine(get_settings(), has_limits=False).begin() as opened:
        run(opened)
