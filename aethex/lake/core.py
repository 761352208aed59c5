"""The lake as one object: settings, store, catalog, and DuckDB connections that can read its files.

What belongs here: opening those parts. What does not: what is done with them.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import duckdb

from aethex.lake import catalog as catalogs
from aethex.lake import scratch
from aethex.settings import Settings
from aethex.store import Store, open_store

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table as IcebergTable

    from aethex.lake.tables import Table


class Lake:
    """Settings, store and Iceberg catalog of one lake.

    The catalog is opened at its first use: landing needs the store only.
    """

    def __init__(self, settings: Settings, store: Store, catalog: Catalog | None = None) -> None:
        self.settings = settings
        self.store = store
        self._catalog = catalog
        self._ensured: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The lake of these settings. Raises StoreUnreachable when its store does not answer."""
        return cls(settings, open_store(settings))

    def close(self) -> None:
        """Give back the catalog's database connections."""
        with self._lock:
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def catalog(self) -> Catalog:
        """The Iceberg catalog. Raises DatabaseUnreachable when its database does not answer."""
        with self._lock:
            if self._catalog is None:
                self._catalog = catalogs.open_catalog(self.settings, self.store)
            return self._catalog

    def table(self, table: Table) -> IcebergTable:
        """The Iceberg table in its present state; it is made, or gets its new columns, at first
        use."""
        if table.name in self._ensured:
            return self.catalog.load_table(catalogs.identifier(table))
        opened = catalogs.ensure_table(self.catalog, table)
        self._ensured.add(table.name)
        return opened

    def key(self, address: str) -> str | None:
        """The store's key of a table's file; None when it lies elsewhere."""
        root = self.store.uri("lake").removesuffix("lake")
        return address.removeprefix(root) if address.startswith(root) else None

    def duckdb(
        self, *, memory_limit: str = "1GB", threads: int | None = None
    ) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection in memory that reads the store's files, in UTC, spilling to a folder
        of its own.

        Nothing is downloaded: extensions come from installed packages.
        """
        spill = scratch.new_folder(self.settings.cache_dir)
        connection = open_duckdb(memory_limit=memory_limit, threads=threads, spill=spill)
        connection.execute("SET preserve_insertion_order = false")
        if not self.store.is_local:
            _allow_store(connection, self.settings)
        return connection


def open_duckdb(
    *, memory_limit: str = "512MB", threads: int | None = None, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory, in UTC, that downloads nothing and prints nothing."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "memory_limit": memory_limit,
    }
    if threads is not None:
        config["threads"] = threads
    if spill is not None:
        config["temp_directory"] = str(spill)
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def utc_now() -> datetime:
    """Now, as the lake writes it: naive UTC. Callers that compute take a time as an argument."""
    return datetime.now(UTC).replace(tzinfo=None)


def _allow_store(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Let a connection read `s3://` addresses of the configured store."""
    connection.execute(f"LOAD '{_httpfs_path()}'")
    endpoint = urlsplit(settings.store_endpoint or "https://s3.amazonaws.com")
    secret = settings.store_secret_access_key
    parts = {
        "KEY_ID": settings.store_access_key_id or "",
        "SECRET": secret.get_secret_value() if secret else "",
        "REGION": settings.store_region,
        "ENDPOINT": endpoint.netloc + endpoint.path.rstrip("/"),
        "URL_STYLE": "path",
    }
    values = ", ".join(f"{name} {_quoted(value)}" for name, value in parts.items())
    use_ssl = "true" if endpoint.scheme == "https" else "false"
    connection.execute(f"CREATE OR REPLACE SECRET store (TYPE s3, {values}, USE_SSL {use_ssl})")


def _httpfs_path() -> Path:
    """The httpfs extension's file in its wheel; loading it needs no network."""
    folder = Path(str(resources.files("duckdb_extension_httpfs"))) / "extensions"
    return folder / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
