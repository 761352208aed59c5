"""Landing: what came in, written once as immutable Parquet objects before anything else happens to
it.

What belongs here: the landed schema, writing an object, reading objects' row counts. What does not:
which objects are published together (`windows`) and what becomes of their rows (`publish`).
"""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import IO, TYPE_CHECKING, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ulid import ULID

from aethex.lake.core import Lake, open_duckdb, utc_now
from aethex.lake.event_tables import EVENT_TABLES, payload_columns, payload_struct
from aethex.store import NotFound

if TYPE_CHECKING:
    from aethex.store import Store

PREFIX = "landing/"
PARQUET_TYPE = "application/vnd.apache.parquet"
FOOTER_GUESS_BYTES = 64 * 1024

LANDING_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("channel_id", pa.string(), nullable=False),
        pa.field("stream_id", pa.string()),
        pa.field("vod_id", pa.string()),
        pa.field("clip_id", pa.string()),
        pa.field("viewer_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("client_at", pa.timestamp("us"), nullable=False),
        pa.field("occurred_at", pa.timestamp("us"), nullable=False),
        pa.field("received_at", pa.timestamp("us"), nullable=False),
        pa.field("payload", pa.string(), nullable=False),
    ]
)
"""The columns that every event has, and `payload`: the columns of its kind's table as a JSON
object."""


def land(lake: Lake, table: pa.Table | pl.DataFrame, now: datetime | None = None) -> str:
    """Write rows of `LANDING_SCHEMA` as one new object; they are durable when this returns its key.

    `now` (naive UTC) decides the key's folder. Raises ValueError when there are no rows, a column
    is missing, a required value is null, a kind has no table, or a payload is no JSON object with
    what its table requires; StoreError when the store refuses.
    """
    return land_checked(lake.store, _as_landed(table), now or utc_now())


def land_checked(store: Store, rows: pa.Table, now: datetime) -> str:
    """Like `land`, for rows of LANDING_SCHEMA whose events were checked one by one before.

    Raises StoreError.
    """
    key = landing_key(now, ULID())
    # the key is new, so a plain PUT creates; repeated after a lost answer it does no harm
    store.put(key, to_parquet(rows), content_type=PARQUET_TYPE)
    return key


def landing_key(at: datetime, ulid: ULID) -> str:
    """`landing/<yyyy>/<mm>/<dd>/<hh>/<ulid>.parquet`."""
    return f"{PREFIX}{at:%Y/%m/%d/%H}/{ulid}.parquet"


_REPEATING = ("kind", "channel_id", "stream_id", "vod_id", "clip_id", "sender", "field", "reason")


class LandingObjectError(Exception):
    """An object under landing/ is none that was landed. The message names it."""


def count_rows(store: Store, key: str, size_bytes: int) -> int:
    """Rows of a landed object, from its Parquet footer alone.

    Raises NotFound when it is gone, LandingObjectError when it is no Parquet file.
    """
    try:
        return _rows_in_footer(store, key, size_bytes)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise NotFound(f"There is no {key} in {store.url}.") from error
        raise LandingObjectError(
            f"{key} in {store.url} is no Parquet file, so nothing can be published: remove it"
        ) from error


def _rows_in_footer(store: Store, key: str, size_bytes: int) -> int:
    if path := store.local_path(key):
        return pq.read_metadata(path).num_rows
    tail = store.get_range(key, max(0, size_bytes - FOOTER_GUESS_BYTES), size_bytes)
    footer_bytes = int.from_bytes(tail[-8:-4], "little") + 8
    if footer_bytes > len(tail):
        tail = store.get_range(key, size_bytes - footer_bytes, size_bytes)
    # the metadata reader wants a file: the footer alone, behind the magic bytes, is one to it
    return pq.read_metadata(BytesIO(b"PAR1" + tail[-footer_bytes:])).num_rows


def _as_landed(table: pa.Table | pl.DataFrame) -> pa.Table:
    arrow = table.to_arrow() if isinstance(table, pl.DataFrame) else table
    if arrow.num_rows == 0:
        raise ValueError("nothing to land: the table has no rows")
    if missing := set(LANDING_SCHEMA.names) - set(arrow.column_names):
        raise ValueError(f"cannot land rows without the columns {sorted(missing)}")
    arrow = arrow.select(LANDING_SCHEMA.names)
    for field in LANDING_SCHEMA:
        if not field.nullable and arrow.column(field.name).null_count:
            raise ValueError(f"cannot land rows whose {field.name} is null")
    kinds = {str(kind) for kind in pc.unique(arrow.column("kind")).to_pylist()}
    if unknown := kinds - EVENT_TABLES.keys():
        raise ValueError(f"cannot land events of kind {sorted(unknown)}: no table is theirs")
    landed = arrow.cast(LANDING_SCHEMA)
    _check_payloads(landed, kinds)
    return landed


def _check_payloads(landed: pa.Table, kinds: set[str]) -> None:
    """Refuse what could not be published later: no JSON object, or a required value missing."""
    with open_duckdb() as connection:
        connection.register("landed", landed)
        for kind in kinds:
            table = EVENT_TABLES[kind]
            required = [column.name for column in payload_columns(table) if column.required]
            lacking = " OR ".join(f"carried.{name} IS NULL" for name in required) or "false"
            bad = connection.execute(
                "SELECT payload FROM (SELECT payload, "
                f"CASE WHEN json_valid(payload) THEN {payload_struct(table)} END AS carried "
                f"FROM landed WHERE kind = $kind) WHERE carried IS NULL OR {lacking} LIMIT 1",
                {"kind": kind},
            ).fetchone()
            if bad:
                raise ValueError(
                    f"cannot land a {kind} whose payload is no JSON object with {required}: "
                    f"{bad[0][:200]}"
                )


def to_parquet(rows: pa.Table) -> bytes:
    """The rows as a Parquet file."""
    buffer = pa.BufferOutputStream()
    # ids and payloads hardly repeat: a dictionary of them costs time and makes the file larger
    repeating = [name for name in _REPEATING if name in rows.column_names]
    pq.write_table(rows, cast("IO[bytes]", buffer), compression="zstd", use_dictionary=repeating)
    return buffer.getvalue().to_pybytes()
