"""What makes two imports of a video the same: its bytes and its stream.

What belongs here: the ids that follow from both, and one import of a video at a time. What does
not: the import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from ulid import ULID

from aethex.postgres import database_url, unreachable
from aethex.settings import Settings

_CHUNK_BYTES = 4 * 1024**2
_PLAYLIST_SUFFIXES = (".m3u8", ".m3u")


def source_files(path: Path) -> list[Path]:
    """The files that make up a source: itself, and a playlist's segments that lie beside it."""
    if path.suffix.lower() not in _PLAYLIST_SUFFIXES:
        return [path]
    lines = (line.strip() for line in path.read_text(errors="replace").splitlines())
    named = [path.parent / line for line in lines if line and not line.startswith("#")]
    return [path, *(file for file in named if file.is_file())]


def source_sha256(path: Path, on_bytes: Callable[[int, int], None]) -> str:
    """SHA-256 (hex) over the bytes of all files of a source, in order; `on_bytes` gets done and
    all.

    Raises OSError when a file cannot be read.
    """
    files = source_files(path)
    total = sum(file.stat().st_size for file in files)
    digest, done = hashlib.sha256(), 0
    for file in files:
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                on_bytes(done, total)
    return digest.hexdigest()


def derived_id(prefix: str, *parts: str) -> str:
    """An id that follows from `parts`: the same parts, the same id. It looks like any other id."""
    digest = hashlib.sha256("\n".join((prefix, *parts)).encode()).digest()
    return f"{prefix}_{ULID.from_bytes(digest[:16])}"


@contextmanager
def one_at_a_time(settings: Settings, name: str, on_wait: Callable[[], None]) -> Generator[None]:
    """Hold `name` in the database while the block runs; `on_wait` is called when another holds it.

    A process that dies gives it back. Raises DatabaseUnreachable.
    """
    url = database_url(settings, driver="")
    try:
        connection = psycopg.connect(url, autocommit=True, application_name="aethex import")
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from error
    with connection:
        row = connection.execute(
            "select pg_try_advisory_lock(hashtextextended(%s, 0))", [name]
        ).fetchone()
        if row is None or not row[0]:
            on_wait()
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
        yield
