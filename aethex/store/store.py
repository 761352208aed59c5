"""The store: reading, writing and listing objects, in a folder or in R2.

What belongs here: the API that others use. What does not: what only S3 has (`s3.py`), what only a
folder needs (`durable.py`), what a key may be (`objects.py`), and what can go wrong (`errors.py`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import obstore
from obstore import exceptions as obstore_errors
from obstore.store import LocalStore, S3Store

from aethex.store.durable import DurableFolder
from aethex.store.errors import AlreadyExists, Conflict, NotFound, StoreError, first_line, translate
from aethex.store.objects import ObjectInfo, check_key, etag_of_stat, info_of_stat, info_of_write
from aethex.store.s3 import list_objects, open_s3, put_conditionally, upload, upload_stream

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta, PutMode

DEFAULT_CHUNK_BYTES = 1024 * 1024
_DELETE_BATCH = 1_000


class Store:
    """Objects under one URL. Open it with `open_store(settings)` or `Store.open(url)`.

    Every method checks its key (ValueError) and raises `StoreError` or one of its subclasses.
    """

    def __init__(self, url: str, backend: LocalStore | S3Store, base_uri: str) -> None:
        self.url = url
        self.is_local = isinstance(backend, LocalStore)
        self._backend = backend
        self._base_uri = base_uri
        self._folder = DurableFolder(Path(base_uri))  # used by a folder store only

    @classmethod
    def open(
        cls,
        url: str,
        *,
        endpoint: str | None = None,
        region: str = "auto",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> Store:
        """A store by URL: `file:///folder` (made if missing) or `s3://bucket/prefix`.

        R2 is not contacted before the first call. Raises StoreError for a URL that is none.
        """
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.path and parts.netloc in ("", "localhost"):
            root = Path(unquote(parts.path)).absolute()
            return cls(url, _open_folder(root), str(root))
        if parts.scheme != "s3" or not parts.netloc:
            raise StoreError(
                f"AETHEX_STORE_URL is {url!r}: use file:///folder or s3://bucket/prefix."
            )
        if not access_key_id or not secret_access_key:
            raise StoreError(
                f"The store {url} needs credentials: set AETHEX_STORE_ACCESS_KEY_ID and "
                "AETHEX_STORE_SECRET_ACCESS_KEY."
            )
        prefix = parts.path.strip("/")
        backend = open_s3(parts.netloc, prefix, endpoint, region, access_key_id, secret_access_key)
        return cls(url, backend, f"s3://{parts.netloc}/{prefix}".rstrip("/"))

    # writing

    def put(self, key: str, data: bytes | Path, *, content_type: str | None = None) -> ObjectInfo:
        """Write an object, over whatever is there. A file goes up in parts, not through memory."""
        check_key(key)
        with self._errors(key):
            if isinstance(self._backend, S3Store):
                etag = upload(self._backend, key, data, content_type)
                return info_of_write(key, data, etag)
            return info_of_stat(key, self._folder.write(key, data))

    def put_stream(
        self,
        key: str,
        chunks: Iterable[bytes],
        size_bytes: int,
        *,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """Write an object, over whatever is there, from chunks as they come; none is kept.

        `size_bytes` is what they are together; when they are not, or when making them fails, what
        was there stays. Raises ValueError for a wrong size.
        """
        check_key(key)
        counted = _counted(chunks, size_bytes)
        with self._errors(key):
            if isinstance(self._backend, S3Store):
                etag = upload_stream(self._backend, key, counted, size_bytes, content_type)
                return ObjectInfo(key, size_bytes, etag, datetime.now(UTC))
            return info_of_stat(key, self._folder.write(key, counted))

    def create(
        self, key: str, data: bytes | Path, *, content_type: str | None = None
    ) -> ObjectInfo:
        """Write an object that must not be there yet. Raises AlreadyExists.

        Of several at once exactly one succeeds. On R2 a file is read into memory whole.
        """
        check_key(key)

        def must_be_absent(stat: os.stat_result | None) -> None:
            if stat is not None:
                raise AlreadyExists(f"{key} exists already.")

        with self._errors(key):
            if isinstance(self._backend, S3Store):
                etag = put_conditionally(self._backend, key, data, "create", content_type)
                return info_of_write(key, data, etag)
            return info_of_stat(key, self._folder.write(key, data, allow=must_be_absent))

    def replace(
        self, key: str, data: bytes | Path, *, if_match: str, content_type: str | None = None
    ) -> ObjectInfo:
        """Write an object if its etag still is `if_match`. Raises Conflict, also if missing.

        Of several at once exactly one succeeds, provided that contents differ: R2 makes the
        etag from the content. On R2 a file is read into memory whole.
        """
        check_key(key)

        def must_be_unchanged(stat: os.stat_result | None) -> None:
            if stat is None or etag_of_stat(stat) != if_match:
                raise Conflict(f"{key} has changed since it was read.")

        with self._errors(key):
            if isinstance(self._backend, S3Store):
                mode: PutMode = {"e_tag": if_match}
                etag = put_conditionally(self._backend, key, data, mode, content_type)
                return info_of_write(key, data, etag)
            return info_of_stat(key, self._folder.write(key, data, allow=must_be_unchanged))

    def delete(self, keys: Iterable[str]) -> int:
        """Remove objects and return how many keys were given; missing ones are fine."""
        checked = [check_key(key) for key in keys]
        for start in range(0, len(checked), _DELETE_BATCH):
            batch = checked[start : start + _DELETE_BATCH]
            with self._errors(batch[0]):
                if isinstance(self._backend, S3Store):
                    obstore.delete(self._backend, batch)
                    continue
                for key in batch:
                    self._folder.delete(key)
        return len(checked)

    # reading

    def get(self, key: str) -> bytes:
        """The object's content. Raises NotFound."""
        return self.get_with_info(key)[0]

    def get_with_info(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Content and info of one and the same version. Raises NotFound."""
        with self._errors(key):
            result = obstore.get(self._backend, check_key(key))
            return bytes(result.bytes()), self._info(result.meta)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end), fewer where the object ends before. Raises RangeNotSatisfiable."""
        with self._errors(key):
            return bytes(self._open_range(key, start, end).bytes())

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
    ) -> Iterator[bytes]:
        """Bytes [start, end) in chunks of at least `chunk_bytes` but for the last.

        Raises NotFound and RangeNotSatisfiable at the call, not at the first chunk.
        """
        with self._errors(key):
            result = self._open_range(key, start, end)
        return self._chunks(key, result, chunk_bytes)

    async def astream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
    ) -> AsyncIterator[bytes]:
        """Like `stream`, for `async for`; errors come with the first chunk."""
        options = _range_options(start, end)
        with self._errors(key):
            result = await obstore.get_async(self._backend, check_key(key), options=options)
            async for chunk in result.stream(min_chunk_size=chunk_bytes):
                yield bytes(chunk)

    async def aget(self, key: str) -> bytes:
        """Like `get`, without blocking the event loop."""
        with self._errors(key):
            result = await obstore.get_async(self._backend, check_key(key))
            return bytes(await result.bytes_async())

    async def ahead(self, key: str) -> ObjectInfo:
        """Like `head`, without blocking the event loop."""
        with self._errors(key):
            return self._info(await obstore.head_async(self._backend, check_key(key)))

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Copy an object to a local file, which appears whole or not at all. Raises NotFound."""
        with self._errors(key):
            result = obstore.get(self._backend, check_key(key))
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{uuid4().hex}")
            try:
                with temporary.open("xb") as file:
                    for chunk in result.stream(min_chunk_size=DEFAULT_CHUNK_BYTES):
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
            return self._info(result.meta)

    def head(self, key: str) -> ObjectInfo:
        """The object's info. Raises NotFound."""
        with self._errors(key):
            return self._info(obstore.head(self._backend, check_key(key)))

    def exists(self, key: str) -> bool:
        """Whether there is an object with this key."""
        try:
            self.head(key)
        except NotFound:
            return False
        return True

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix` (empty: all), sorted by key, lazily.

        `start_after` leaves out keys up to and including it.
        """
        folder = check_key(prefix.rstrip("/")) if prefix.strip("/") else ""
        with self._errors(prefix):
            if isinstance(self._backend, S3Store):
                for meta in list_objects(self._backend, folder, start_after):
                    yield self._info(meta)
            else:
                for name, stat in self._folder.files(folder, start_after or ""):
                    yield info_of_stat(name, stat)

    def local_path(self, key: str) -> Path | None:
        """The object's file in a folder store, else None."""
        return self._folder.root / check_key(key) if self.is_local else None

    def uri(self, key: str) -> str:
        """What pyiceberg and DuckDB read: a folder's absolute path, or s3://bucket/prefix/key."""
        return f"{self._base_uri}/{check_key(key)}"

    def check(self) -> None:
        """Ask the store one thing, so that a wrong setting or a store that is away shows at once.

        Raises StoreError with one line that says which setting and what to do.
        """
        with self._errors(""):
            if isinstance(self._backend, S3Store):
                next(list_objects(self._backend, "", None, page_size=1), None)
            elif not os.access(self._folder.root, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no permission", str(self._folder.root))

    # inside

    def _open_range(self, key: str, start: int, end: int | None) -> GetResult:
        return obstore.get(self._backend, check_key(key), options=_range_options(start, end))

    def _chunks(self, key: str, result: GetResult, chunk_bytes: int) -> Iterator[bytes]:
        with self._errors(key):
            for chunk in result.stream(min_chunk_size=chunk_bytes):
                yield bytes(chunk)

    def _info(self, meta: ObjectMeta) -> ObjectInfo:
        return ObjectInfo(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"])

    @contextmanager
    def _errors(self, key: str) -> Generator[None]:
        """Errors of obstore and the system as the store's own."""
        try:
            yield
        except StoreError:
            raise
        except (OSError, obstore_errors.BaseError) as error:
            raise translate(error, key, self.url, self.is_local) from error


def _counted(chunks: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        yield chunk
    if seen != size_bytes:
        raise ValueError(f"{seen} bytes came instead of {size_bytes}")


def _open_folder(root: Path) -> LocalStore:
    try:
        return LocalStore(str(root), mkdir=True)
    except (OSError, obstore_errors.BaseError) as error:
        raise StoreError(
            f"The store's folder {root} cannot be made ({first_line(error)}): set "
            "AETHEX_STORE_URL or AETHEX_DATA_DIR to a folder that can be written."
        ) from error


def _range_options(start: int, end: int | None) -> GetOptions | None:
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"not a byte range: [{start}, {end})")
    if end is not None:
        return {"range": (start, end)}
    return {"range": {"offset": start}} if start else None
