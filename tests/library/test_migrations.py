"""The tables' history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from aethex.library import Library, SchemaMismatch, channels, upgrade
from aethex.library.database import open_engine
from aethex.library.migrations import VERSION_TABLE, alembic_config
from aethex.library.models import Base
from aethex.settings import Settings
from tests.postgres_server import PostgresForTests


@pytest.fixture
def empty(settings: Settings, postgres: PostgresForTests):
    """Settings whose database has no tables yet."""
    with postgres.fresh_database(is_migrated=False) as url:
        yield settings.model_copy(update={"database_url": url})


def _difference(settings: Settings) -> list[object]:
    engine = open_engine(settings)
    with engine.begin() as connection:
        options = {"version_table": VERSION_TABLE, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        difference = compare_metadata(context, Base.metadata)
    engine.dispose()
    return difference


def test_the_migrations_make_exactly_the_tables_of_the_models(empty: Settings):
    assert _difference(empty) != []
    upgrade(empty)
    assert _difference(empty) == []


def test_the_check_constraints_are_those_of_the_models(settings: Settings):
    """Alembic does not compare these, so we do."""
    in_models = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if str(constraint.name).startswith("ck_")
    }
    engine = open_engine(settings)
    with engine.connect() as connection:
        found = connection.scalars(text("select conname from pg_constraint where contype = 'c'"))
        assert {name for name in found if name.startswith("ck_")} == in_models
    engine.dispose()


def test_upgrading_again_changes_nothing(settings: Settings):
    upgrade(settings)
    assert _difference(settings) == []


def test_processes_that_upgrade_at_once_all_succeed(empty: Settings):
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(upgrade, empty) for _ in range(6)]:
            done.result()
    assert _difference(empty) == []


def test_the_tables_of_others_are_no_difference(settings: Settings):
    engine = open_engine(settings)
    with engine.begin() as connection:
        for schema in ("dagster", "iceberg"):
            connection.exec_driver_sql(f"create table {schema}.alembic_version (version text)")
    engine.dispose()
    assert _difference(settings) == []


def test_going_back_and_forth_ends_where_it_began(settings: Settings):
    engine = open_engine(settings)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    engine.dispose()
    upgrade(settings)
    assert _difference(settings) == []


def test_a_database_of_a_newer_program_is_refused_with_the_remedy(settings: Settings):
    engine = open_engine(settings)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"update {VERSION_TABLE} set version_num = 'from_the_future'")
    engine.dispose()
    with pytest.raises(SchemaMismatch, match=r"from_the_future.*run the newer program"):
        upgrade(settings)


def test_a_database_without_tables_says_which_command_makes_them(empty: Settings):
    with (
        Library.open(empty) as library,
        pytest.raises(SchemaMismatch, match="aethex migrate"),
        library.session() as s,
    ):
        channels.list(s)
