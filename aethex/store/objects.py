"""An object: what its key may be, and what is known of it.

What belongs here: keys, and info made of what a write or a file says. What does not:
reading and writing them (`store.py`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aethex.store.durable import RESERVED_NAME


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object: its key, size, version tag and time of last change (UTC)."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


def check_key(key: str) -> str:
    """The key itself when it is one: relative, printable, no empty, `.` or `..` part.

    Raises ValueError otherwise. `#` and `\\` are refused: no folder keeps them reliably.
    """
    parts = key.split("/")
    if not key or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"not a store key (empty or dotted part): {key!r}")
    if not key.isprintable() or re.search(r"[#\\]", key):
        raise ValueError(f"not a store key (character that is not allowed): {key!r}")
    if parts[0] == RESERVED_NAME:
        raise ValueError(f"not a store key (reserved name): {key!r}")
    if len(key.encode()) > 900 or max(len(part.encode()) for part in parts) > 255:
        raise ValueError(f"not a store key (too long): {key[:40]!r}…")
    return key


def etag_of_stat(stat: os.stat_result) -> str:
    """The etag that obstore gives a file (a test compares them)."""
    return f'"{stat.st_ino:x}-{stat.st_mtime_ns // 1000:x}-{stat.st_size:x}"'


def info_of_write(key: str, data: bytes | Path, etag: str) -> ObjectInfo:
    """R2 answers a write with the etag only; the time is this machine's."""
    size_bytes = data.stat().st_size if isinstance(data, Path) else len(data)
    return ObjectInfo(key, size_bytes, etag, datetime.now(UTC))


def info_of_stat(key: str, stat: os.stat_result) -> ObjectInfo:
    modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
    return ObjectInfo(key, stat.st_size, etag_of_stat(stat), modified_at)
