"""The database's address, and waiting for it."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from aethex.postgres import (
    SCHEMAS,
    DatabaseUnreachable,
    database_url,
    embedded_location,
    ensure_schemas,
    masked,
    wait_until_ready,
)
from aethex.settings import Settings


def given(url: str) -> Settings:
    return Settings(_env_file=None, data_dir=Path("/tmp/unused"), database_url=url)  # pyright: ignore


@pytest.mark.parametrize(
    ("driver", "start"),
    [
        ("psycopg", "postgresql+psycopg://"),
        ("psycopg2", "postgresql+psycopg2://"),
        ("", "postgresql://"),
    ],
)
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_given_address_gets_the_driver_that_is_asked_for(driver, start, scheme):
    url = database_url(given(f"{scheme}://me:p%40ss+w%20d@db.example:6543/aethex"), driver)
    assert url.startswith(start)
    parsed = make_url(url)
    assert (parsed.username, parsed.password) == ("me", "p@ss+w d")
    assert (parsed.host, parsed.port, parsed.database) == ("db.example", 6543, "aethex")


def test_connecting_has_a_time_limit_unless_one_is_given():
    assert make_url(database_url(given("postgresql://h/d"))).query["connect_timeout"] == "5"
    own = database_url(given("postgresql://h/d?connect_timeout=20&sslmode=require"))
    assert make_url(own).query == {"connect_timeout": "20", "sslmode": "require"}


def test_options_are_added_to_those_given_in_a_way_that_libpq_reads():
    url = database_url(
        given("postgresql://h/d?options=-cjit%3Doff"),
        "",
        schema="dagster",
        server_settings={"statement_timeout": "5s"},
    )
    options = conninfo_to_dict(url)["options"]
    assert options == "-cjit=off -csearch_path=dagster -cstatement_timeout=5s"


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_schema_becomes_the_search_path(settings: Settings, driver):
    engine = create_engine(database_url(settings, driver, schema="iceberg"))
    with engine.connect() as connection:
        assert connection.scalar(text("select current_schema()")) == "iceberg"
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://h/d", "`mysql`"),
        ("data.sqlite", "not an address"),
        ("http://h/d", "`http`"),
        ("postgresql://h:port/d", "not an address"),
    ],
)
def test_what_is_no_address_of_a_postgres_is_refused_with_an_example(url, words):
    with pytest.raises(DatabaseUnreachable) as caught:
        database_url(given(url))
    message = str(caught.value)
    assert words in message
    assert "AETHEX_DATABASE_URL" in message
    assert "postgresql://user:password@host:5432/name" in message
    assert "\n" not in message


def test_without_an_address_it_is_the_embedded_server(tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path)  # pyright: ignore[reportCallIssue]
    url = make_url(database_url(settings))
    assert url.query["host"] == str(embedded_location(settings).socket_dir)
    assert not settings.data_dir.joinpath("postgres").exists()


def test_a_masked_address_shows_where_but_no_secret():
    shown = masked("postgresql+psycopg://me:secret@db.example:6543/aethex?options=-cfoo%3Dsecret")
    assert shown == "postgresql://me:***@db.example:6543/aethex"
    assert (
        masked("postgresql://me@/aethex?host=%2Ftmp%2Fx") == "postgresql://me@/aethex?host=/tmp/x"
    )
    assert "secret" not in masked("secret@nothing")


def test_a_database_that_does_not_exist_fails_at_once(settings: Settings):
    url = make_url(database_url(settings)).set(database="nothing_here")
    with pytest.raises(DatabaseUnreachable, match='"nothing_here" does not exist'):
        wait_until_ready(url.render_as_string(hide_password=False), timeout_seconds=3600)


def test_an_address_with_an_unknown_parameter_fails_at_once():
    with pytest.raises(DatabaseUnreachable, match=r"invalid URI query parameter.*nonsense"):
        wait_until_ready("postgresql://me:secret@127.0.0.1/d?nonsense=1", timeout_seconds=3600)


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnreachable, match="AETHEX_DATABASE_URL") as caught:
            wait_until_ready(f"postgresql://me:secret@127.0.0.1:{port}/d", timeout_seconds=0.1)
    assert "secret" not in str(caught.value)


def test_schemas_are_made_once_however_many_ask(settings: Settings):
    with psycopg.connect(database_url(settings, "")) as connection:
        for name in SCHEMAS:
            connection.execute(f"drop schema if exists {name}".encode())
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(ensure_schemas, settings) for _ in range(6)]:
            done.result()
    with psycopg.connect(database_url(settings, "")) as connection:
        found = {row[0] for row in connection.execute("select nspname from pg_namespace")}
    assert set(SCHEMAS) <= found
