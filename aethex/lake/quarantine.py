"""Quarantine: events that were refused, whole, with the reason, so that none is lost unseen.

What belongs here: the schema and writing an object. What does not: why an event is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
from ulid import ULID

from aethex.lake.landing import PARQUET_TYPE, to_parquet

if TYPE_CHECKING:
    from aethex.store import Store

PREFIX = "quarantine/"

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("received_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("sent_at", pa.timestamp("us", "UTC")),
        pa.field("sender", pa.string(), nullable=False),
        pa.field("viewer_id", pa.string()),
        pa.field("event_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
    ]
)
"""Who sent what, when, and what was wrong with it; `event` is the text as it came. sender: `player`
or a token's id."""


def quarantine(store: Store, table: pa.Table, now: datetime) -> str:
    """Write refused events as one new object; they are durable when this returns its key.

    `now` (naive UTC) decides the key's folder. Raises StoreError.
    """
    key = f"{PREFIX}{now:%Y/%m/%d/%H}/{ULID()}.parquet"
    store.put(key, to_parquet(table), content_type=PARQUET_TYPE)
    return key
