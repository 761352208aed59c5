"""The database's address for every client, and the one-line errors of an unreachable one.

What belongs here: composing and masking addresses, waiting for an answer. What does not: engines
and sessions (`aethex.library.database`), or running a server (`server.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from aethex.postgres.errors import DatabaseUnreachable
from aethex.postgres.location import embedded_location
from aethex.settings import Settings

DATABASE = "aethex"
ROLE = "aethex"
SCHEMAS = ("dagster", "iceberg")
"""Schemas beside the library's `public`: Dagster's storage and the Iceberg catalog."""

CONNECT_TIMEOUT_SECONDS = 5
_POLL_SECONDS = 0.1
_EXAMPLE = "postgresql://user:password@host:5432/name"
# What libpq says when waiting longer cannot help.
_FINAL_REASONS = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "Peer authentication failed",
    "server does not support SSL",
)


def database_url(
    settings: Settings,
    driver: str = "psycopg",
    *,
    schema: str | None = None,
    server_settings: Mapping[str, str] | None = None,
) -> str:
    """Address of the database, given by AETHEX_DATABASE_URL or of the embedded server.

    `driver` names SQLAlchemy's driver (`postgresql+psycopg://…`); "" gives the plain address that
    libpq reads. `schema` becomes the search path, and each of `server_settings` (their values
    without spaces) holds for every connection. Connecting gives up after 5 s unless the address
    says otherwise. Raises DatabaseUnreachable when AETHEX_DATABASE_URL is no address of a Postgres.
    """
    url = _given_url(settings.database_url) if settings.database_url else _embedded_url(settings)
    query = dict(url.query)
    query.setdefault("connect_timeout", str(CONNECT_TIMEOUT_SECONDS))
    wanted = {**({"search_path": schema} if schema else {}), **(server_settings or {})}
    if wanted:
        given = query.get("options", ())
        parts = [given] if isinstance(given, str) else list(given)
        query["options"] = " ".join([*parts, *(f"-c{name}={v}" for name, v in wanted.items())])
    return _render(url.set(drivername=_drivername(driver), query=query))


def masked(url: str) -> str:
    """The address without driver, password and options, fit for a message."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "<not an address>"
    query = {"host": host} if (host := parsed.query.get("host")) else {}
    bare = parsed.set(drivername="postgresql", query=query)
    return bare.render_as_string(hide_password=True).replace("%2F", "/")


def unreachable(url: str, error: BaseException) -> DatabaseUnreachable:
    """The error to raise when connecting to `url` failed with `error`."""
    return _unreachable(url, _reason(error))


def forbidden(url: str, error: BaseException) -> DatabaseUnreachable:
    """The error to raise when the server refused to make tables or schemas at `url`."""
    return DatabaseUnreachable(
        f"Postgres forbids us to set up {masked(url)} ({_reason(error)}): make the user of "
        "AETHEX_DATABASE_URL the database's owner (alter database … owner to …)."
    )


def wait_until_ready(url: str, timeout_seconds: float = 30.0) -> None:
    """Return once Postgres answers a query at `url`.

    Raises DatabaseUnreachable after `timeout_seconds`, or at once when waiting cannot help (wrong
    password, no such database).
    """
    plain = _render(_given_url(url).set(drivername="postgresql"))
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = deadline - time.monotonic()
        try:
            with psycopg.connect(plain, connect_timeout=max(2, min(5, int(left)))) as connection:
                connection.execute("select 1")
            return
        except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
            reason = _reason(error)
            # A ProgrammingError is an address with a parameter that libpq does not know.
            is_final = isinstance(error, psycopg.ProgrammingError) or any(
                part in reason for part in _FINAL_REASONS
            )
            if is_final or time.monotonic() >= deadline:
                raise _unreachable(url, reason) from error
        time.sleep(_POLL_SECONDS)


def ensure_schemas(settings: Settings) -> None:
    """Create the schemas of Dagster and the Iceberg catalog where they are missing; safe to race.

    Raises DatabaseUnreachable when the database does not answer, or forbids it.
    """
    url = database_url(settings, driver="")
    try:
        with psycopg.connect(url) as connection:
            # Two racing CREATE SCHEMA IF NOT EXISTS can both try; one would fail on the catalog's
            # index.
            connection.execute("select pg_advisory_xact_lock(hashtext('aethex schemas'))")
            for name in SCHEMAS:
                connection.execute(
                    sql.SQL("create schema if not exists {}").format(sql.Identifier(name))
                )
    except psycopg.errors.InsufficientPrivilege as error:
        raise forbidden(url, error) from error
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from error


def _given_url(text: str) -> URL:
    try:
        # `postgres://` is what several hosters print; SQLAlchemy knows only `postgresql://`.
        url = make_url("postgresql" + text[8:] if text.startswith("postgres://") else text)
    except (ArgumentError, ValueError):
        raise DatabaseUnreachable(
            f"AETHEX_DATABASE_URL is not an address: write it as {_EXAMPLE}."
        ) from None
    if url.get_backend_name() != "postgresql":
        raise DatabaseUnreachable(
            f"AETHEX_DATABASE_URL names `{url.get_backend_name()}`, and only Postgres will do: "
            f"write it as {_EXAMPLE}."
        )
    return url


def _embedded_url(settings: Settings) -> URL:
    socket_dir = embedded_location(settings).socket_dir
    return URL.create(
        "postgresql", username=ROLE, database=DATABASE, query={"host": str(socket_dir)}
    )


def _drivername(driver: str) -> str:
    return f"postgresql+{driver}" if driver else "postgresql"


def _render(url: URL) -> str:
    """As libpq reads it: SQLAlchemy leaves spaces in passwords, and writes `+` for those in
    options.
    """
    address, mark, query = url.render_as_string(hide_password=False).partition("?")
    return address.replace(" ", "%20") + mark + query.replace("+", "%20")


def _unreachable(url: str, reason: str) -> DatabaseUnreachable:
    if _is_socket(url):
        remedy = "start it with `make up`, or name another Postgres in AETHEX_DATABASE_URL"
    else:
        remedy = "check AETHEX_DATABASE_URL, and that this server runs and lets us in"
    return DatabaseUnreachable(f"Postgres does not answer at {masked(url)} ({reason}): {remedy}.")


def _is_socket(url: str) -> bool:
    try:
        host = make_url(url).query.get("host")
    except (ArgumentError, ValueError):
        return False
    return isinstance(host, str) and host.startswith("/")


def _reason(error: BaseException) -> str:
    """The telling part of libpq's message, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    for mark in ("FATAL: ", "failed: "):
        if mark in line:
            return line.rsplit(mark, 1)[1].strip()
    return line
