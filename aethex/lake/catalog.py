"""The Iceberg catalog, and tables in it that match their definitions.

What belongs here: opening the catalog (Postgres by default, REST in production) and making or
evolving a table. What does not: writing rows (`publish`, the model runner).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from sqlalchemy.exc import OperationalError

from aethex.postgres import database_url, ensure_schemas, unreachable
from aethex.settings import Settings
from aethex.store import Store

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

    from aethex.lake.tables import Table

NAMESPACE = "lake"
CATALOG_NAME = "aethex"
DATABASE_SCHEMA = "iceberg"

TABLE_PROPERTIES = {
    # 250 small commits without merging made an append eight times slower
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
    # the loser of a race must see that the same window's rows came in meanwhile
    "write.update.isolation-level": "serializable",
    "write.delete.isolation-level": "serializable",
    "commit.retry.num-retries": "10",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.row-group-limit": "122880",
}


def open_catalog(settings: Settings, store: Store) -> Catalog:
    """The Iceberg catalog of these settings, its namespace made.

    Raises DatabaseUnreachable when the catalog is in Postgres and Postgres does not answer.
    """
    properties = {"warehouse": store.uri("lake"), **_file_properties(settings, store)}
    if settings.catalog_url:
        return _open_rest(settings, properties)
    return _open_sql(settings, properties)


def identifier(table: Table) -> tuple[str, str]:
    """The table's name in the catalog."""
    return (NAMESPACE, table.name)


def ensure_table(catalog: Catalog, table: Table) -> IcebergTable:
    """The Iceberg table of that definition: made when missing, given the columns that it lacks.

    Columns are only ever added; a column that changed its type raises ValueError.
    """
    try:
        opened = catalog.load_table(identifier(table))
    except NoSuchTableError:
        opened = _create(catalog, table)
    return _evolve(opened, table)


def _create(catalog: Catalog, table: Table) -> IcebergTable:
    # a REST catalog decides by itself where a table's files go
    warehouse = catalog.properties["warehouse"] if isinstance(catalog, SqlCatalog) else None
    try:
        return catalog.create_table(
            identifier(table),
            schema=table.iceberg_schema(),
            location=f"{warehouse}/tables/{table.name}" if warehouse else None,
            partition_spec=table.partition_spec(),
            sort_order=table.sort_order(),
            properties={**TABLE_PROPERTIES, "comment": table.doc},
        )
    except TableAlreadyExistsError:
        return catalog.load_table(identifier(table))


def _evolve(opened: IcebergTable, table: Table, attempts: int = 5) -> IcebergTable:
    """Add the columns that the definition has and the table lacks."""
    for attempt in range(attempts):
        present = {field.name: field for field in opened.schema().fields}
        wanted = {field.name: field for field in table.iceberg_schema().fields}
        for name in present.keys() & wanted.keys():
            if present[name].field_type != wanted[name].field_type:
                raise ValueError(
                    f"table {table.name}: column {name} is {present[name].field_type} in the lake "
                    f"and {wanted[name].field_type} in its definition; columns can only be added"
                )
        missing = [field for name, field in wanted.items() if name not in present]
        if not missing:
            return opened
        try:
            with opened.update_schema() as change:
                for field in missing:
                    # rows that are there have no value for it, so an added column is not required
                    change.add_column(field.name, field.field_type, doc=field.doc)
        except CommitFailedException:
            if attempt == attempts - 1:
                raise
        opened.refresh()
    return opened


def _open_sql(settings: Settings, properties: dict[str, str]) -> Catalog:
    ensure_schemas(settings)
    url = database_url(settings, schema=DATABASE_SCHEMA)
    try:
        # two processes that start at once must not both create the catalog's tables and namespace
        with psycopg.connect(database_url(settings, driver="")) as connection:
            connection.execute("select pg_advisory_xact_lock(hashtext('aethex iceberg catalog'))")
            catalog = SqlCatalog(CATALOG_NAME, uri=url, pool_pre_ping="true", **properties)
            catalog.create_namespace_if_not_exists(NAMESPACE)
            return catalog
    except (psycopg.OperationalError, OperationalError) as error:
        raise unreachable(url, error) from error


def _open_rest(settings: Settings, properties: dict[str, str]) -> Catalog:
    from pyiceberg.catalog.rest import RestCatalog

    if settings.catalog_token:
        properties["token"] = settings.catalog_token.get_secret_value()
    properties["warehouse"] = settings.catalog_warehouse or properties["warehouse"]
    assert settings.catalog_url is not None
    catalog = RestCatalog(CATALOG_NAME, uri=settings.catalog_url, **properties)
    # another process may make it between the look and the creation
    with suppress(NamespaceAlreadyExistsError):
        catalog.create_namespace_if_not_exists(NAMESPACE)
    return catalog


def _file_properties(settings: Settings, store: Store) -> dict[str, str]:
    """How pyiceberg reaches the store's files."""
    file_io = {"py-io-impl": "aethex.lake.file_io.DurableFileIO"}
    if store.is_local:
        return file_io
    # pyarrow's S3 client reads this when it starts. Without it, it sends chunked parts without a
    # Content-Length, which R2 refuses.
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    os.environ.setdefault("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    secret = settings.store_secret_access_key
    properties = {
        **file_io,
        "s3.endpoint": settings.store_endpoint or "",
        "s3.region": settings.store_region,
        "s3.access-key-id": settings.store_access_key_id or "",
        "s3.secret-access-key": secret.get_secret_value() if secret else "",
        "s3.force-virtual-addressing": "false",
    }
    return {name: value for name, value in properties.items() if value}
