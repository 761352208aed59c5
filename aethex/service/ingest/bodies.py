"""A request's body: read up to its limit, unpacked up to its limit.

What belongs here: bytes. What does not: what they say (`batches`).
"""

from __future__ import annotations

import pyarrow as pa
from starlette.requests import ClientDisconnect, Request

from aethex.service.problems import Problem

MAX_BODY_BYTES = 1024**2
MAX_UNPACKED_BYTES = 8 * 1024**2
ENCODINGS = ("gzip", "zstd")


async def read_body(request: Request) -> bytes:
    """The body, unpacked. Raises Problem: 413 for one too large, 415 for an unknown packing, 422
    for one that cannot be unpacked.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in (*ENCODINGS, "identity"):
        raise Problem(
            415,
            f"Content-Encoding {encoding[:40]!r} is not known: send gzip, zstd or none.",
            headers={"Accept-Encoding": ", ".join(ENCODINGS)},
        )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise _too_large()
            parts.append(part)
    except ClientDisconnect:
        raise Problem(400, "The request broke off.") from None  # nobody is there to read it
    body = b"".join(parts)
    return body if encoding == "identity" else unpack(body, encoding)


def unpack(body: bytes, encoding: str) -> bytes:
    """A gzip or zstd body unpacked. Raises Problem: 413 when it grows too large, 422 when broken.

    No more than the limit is ever unpacked, so a bomb costs its limit and no more.
    """
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), encoding) as stream:
            unpacked: bytes = stream.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, pa.ArrowException) as error:
        raise Problem(
            422, f"The body is not {encoding}: check Content-Encoding.", kind="invalid"
        ) from error
    if len(unpacked) > MAX_UNPACKED_BYTES:
        most = f"{MAX_UNPACKED_BYTES:,}"
        raise Problem(413, f"Unpacked, the body has more than {most} bytes: send fewer events.")
    return unpacked


def _too_large() -> Problem:
    return Problem(
        413,
        f"The body has more than {MAX_BODY_BYTES:,} bytes: send fewer events, or pack it (gzip, "
        "zstd).",
        headers={"Connection": "close"},
    )
