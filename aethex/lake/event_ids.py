"""Event ids of imported rows: UUIDv5 of stream, instant and source.

What belongs here: making them for many rows at once. What does not: ids that clients give their
events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import pyarrow as pa

EVENT_NAMESPACE = UUID("8d2f2f0c-6b0e-5a39-9a0f-6f1d1b9b7c52")
"""It never changes: rows of old imports would no longer be recognised."""

_VARIANT = np.zeros(256, np.uint8)
_VARIANT[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.frombuffer(b"89ab" * 4, np.uint8)


def event_id(stream_id: str, at: datetime, source: str) -> str:
    """The id of one imported row; `at` is naive UTC."""
    return str(uuid5(EVENT_NAMESPACE, f"{stream_id}|{at:%Y-%m-%dT%H:%M:%S.%fZ}|{source}"))


def digest_sql(stream_id: str, moment: str, source: str) -> str:
    """DuckDB SQL for the SHA-1 digest of which `uuids_of_digests` makes the id.

    `stream_id` and `moment` are SQL expressions, `source` is a plain word.
    """
    namespace = "".join(f"\\x{byte:02X}" for byte in EVENT_NAMESPACE.bytes)
    return (
        f"sha1('{namespace}'::BLOB || encode({stream_id} || '|' || "
        f"strftime({moment}, '%Y-%m-%dT%H:%M:%S.%fZ') || '|{source}'))"
    )


def uuids_of_digests(digests: Any) -> Any:
    """Version 5 UUIDs of SHA-1 digests in hexadecimal, as an array of strings.

    RFC 9562 section 5.5: the first 128 bits, with version and variant set. Text is put together for
    all rows at once: in SQL it takes ten times as long as the digests themselves.
    """
    count = len(digests)
    digests = digests.cast(pa.string())
    start = digests.offset
    offsets = np.frombuffer(digests.buffers()[1], np.int32)[start : start + count + 1]
    raw = np.frombuffer(digests.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    digits = raw.reshape(count, 40)
    text = np.full((count, 36), ord("-"), np.uint8)
    text[:, 0:8] = digits[:, 0:8]
    text[:, 9:13] = digits[:, 8:12]
    text[:, 14] = ord("5")
    text[:, 15:18] = digits[:, 13:16]
    text[:, 19] = _VARIANT[digits[:, 16]]
    text[:, 20:23] = digits[:, 17:20]
    text[:, 24:36] = digits[:, 20:32]
    ends = np.arange(count + 1, dtype=np.int32) * 36
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text.tobytes()))
