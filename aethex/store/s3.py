"""R2's side of the store: opening a bucket, uploading in parts, conditional writes.

What belongs here: what only S3 has. What does not: keys, folders, and the API that others use; that
is `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import obstore
from obstore import exceptions as obstore_errors
from obstore.store import S3Store

from aethex.store.errors import AlreadyExists, Conflict, StoreError, first_line

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.store import S3Config

_MEGABYTE = 1024 * 1024
_PART_BYTES = 8 * _MEGABYTE  # R2 wants equal parts of 5 MiB or more
_MAX_PARTS = 9_000
_WRITE_ID = "write-id"


def open_s3(
    bucket: str, prefix: str, endpoint: str | None, region: str, key_id: str, secret: str
) -> S3Store:
    """Few, short retries: a store that is away must show within seconds, not minutes."""
    address: S3Config = {"endpoint": endpoint} if endpoint else {}
    try:
        return S3Store(
            bucket,
            config=address,
            prefix=prefix or None,
            region=region,
            access_key_id=key_id,
            secret_access_key=secret,
            virtual_hosted_style_request=False,
            conditional_put="etag",
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=3),
                "read_timeout": timedelta(seconds=30),
                "timeout": timedelta(hours=1),  # a whole large object; stalls end sooner
            },
            retry_config={
                "max_retries": 3,
                "retry_timeout": timedelta(seconds=10),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
    except (obstore_errors.BaseError, ValueError) as error:
        raise StoreError(
            f"AETHEX_STORE_URL and AETHEX_STORE_ENDPOINT name no usable store: {first_line(error)}"
        ) from error


def upload(backend: S3Store, key: str, data: bytes | Path, content_type: str | None) -> str:
    """Write an object over whatever is there, a large one in equal parts; returns its etag."""
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    result = obstore.put(
        backend,
        key,
        data,
        attributes=_attributes(content_type),
        chunk_size=_part_bytes(size),
        max_concurrency=4,
    )
    return result["e_tag"] or ""


def upload_stream(
    backend: S3Store, key: str, chunks: Iterator[bytes], size_bytes: int, content_type: str | None
) -> str:
    """Write an object over whatever is there, in equal parts, as its chunks come; returns its etag.

    An error of the chunks is raised as it is, and the parts that went up are given up.
    """
    failure: list[BaseException] = []

    def watched() -> Iterator[bytes]:
        try:
            yield from chunks
        except BaseException as error:
            failure.append(error)  # obstore would hide it in an error of its own
            raise

    try:
        result = obstore.put(
            backend,
            key,
            watched(),
            attributes=_attributes(content_type),
            use_multipart=True,
            chunk_size=_part_bytes(size_bytes),
            max_concurrency=4,
        )
    except BaseException:
        if failure:
            raise failure[0] from None
        raise
    return result["e_tag"] or ""


def _part_bytes(size_bytes: int) -> int:
    return max(_PART_BYTES, -(-size_bytes // (_MAX_PARTS * _MEGABYTE)) * _MEGABYTE)


def put_conditionally(
    backend: S3Store, key: str, data: bytes | Path, mode: PutMode, content_type: str | None
) -> str:
    """A conditional PUT whose lost answer is no false failure; returns the object's etag.

    When the first try arrived but its answer got lost, the repeated PUT is refused by our own
    object. The object carries the id of the write that made it, so that is told apart.
    Raises AlreadyExists and Conflict.
    """
    content = data.read_bytes() if isinstance(data, Path) else data
    write_id = uuid4().hex
    attributes = {**_attributes(content_type), _WRITE_ID: write_id}
    for is_last_try in (False, True):
        try:
            result = obstore.put(
                backend, key, content, attributes=attributes, mode=mode, use_multipart=False
            )
        except (obstore_errors.AlreadyExistsError, obstore_errors.PreconditionError) as error:
            if (etag := _etag_if_ours(backend, key, write_id)) is not None:
                return etag
            refused = AlreadyExists if mode == "create" else Conflict
            raise refused(
                f"{key} exists already."
                if mode == "create"
                else f"{key} has changed since it was read."
            ) from error
        except obstore_errors.GenericError:
            # no answer: it may have arrived. The next try tells, by success or by a refusal.
            if is_last_try:
                raise
        else:
            return result["e_tag"] or ""
    raise AssertionError("unreachable")


def list_objects(
    backend: S3Store, prefix: str, start_after: str | None, *, page_size: int = 1000
) -> Iterator[ObjectMeta]:
    """All objects under the folder `prefix`, in the order of their keys."""
    pages = cast(
        "Iterator[Sequence[ObjectMeta]]",
        obstore.list(  # pyright: ignore[reportUnknownMemberType] (arrow is optional)
            backend, prefix or None, offset=start_after, chunk_size=page_size
        ),
    )
    for page in pages:
        yield from page


def _etag_if_ours(backend: S3Store, key: str, write_id: str) -> str | None:
    try:
        found = obstore.get(backend, key, options={"head": True})
    except FileNotFoundError:
        return None
    return found.meta["e_tag"] if found.attributes.get(_WRITE_ID) == write_id else None


def _attributes(content_type: str | None) -> dict[str, str]:
    return {"Content-Type": content_type} if content_type else {}
