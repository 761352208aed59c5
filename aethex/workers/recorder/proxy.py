"""The only way to the web for an ffmpeg that pulls: a proxy that checks each address it leads to.

What belongs here: `CONNECT` and plain requests, relayed to checked addresses. What does not: which
addresses those are (`aethex.fetch`).

A playlist from outside may name any address, and ffmpeg would resolve and ask it. So its HTTP and
TLS go through here, where a name is resolved, checked, and connected to as checked. A playlist may
also name `httpproxy://` addresses, which ffmpeg asks by itself; so its sandbox lets it connect to
the proxy's port and no other (Linux 6.7 and later).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from urllib.parse import urlsplit

from aethex.fetch import FetchError, checked_address
from aethex.settings import Settings

logger = logging.getLogger(__name__)

_HEAD_SECONDS = 10.0
_CONNECT_SECONDS = 10.0
_READ_BYTES = 256 * 1024
_MOST_HEAD_BYTES = 64 * 1024


class CheckingProxy:
    """A proxy on loopback, for as long as something is pulled."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> str:
        """Listen; the proxy's address. Its port is `port` from then on."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=_MOST_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            target, first = _target(head)
            async with asyncio.timeout(_CONNECT_SECONDS):
                upstream = await self._connect(target)
        except (FetchError, ValueError) as error:
            logger.warning("a pull was not led on: %s", error)
            await _answer(writer, b"403 Forbidden")
            return
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _answer(writer, b"502 Bad Gateway")
            return
        if not first:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        upstream[1].write(first)
        await _relay((reader, writer), upstream)

    async def _connect(self, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        checked = await asyncio.to_thread(checked_address, url, self._settings)
        failure: OSError | None = None
        for address in checked.addresses:
            try:
                return await asyncio.open_connection(address, checked.port, limit=_READ_BYTES)
            except OSError as error:
                failure = error
        assert failure is not None, "a checked name has an address"
        raise failure


def _target(head: bytes) -> tuple[str, bytes]:
    """Where a request wants to go, and what is sent on of it. Raises ValueError when it is none."""
    line, _, rest = head.partition(b"\r\n")
    parts = line.decode("ascii", "strict").split(" ")
    if len(parts) != 3:
        raise ValueError("no request of HTTP came.")
    method, target, version = parts
    if method == "CONNECT":
        return f"https://{target}/", b""
    address = urlsplit(target)
    if address.scheme != "http":
        raise ValueError("only http is led on in the clear.")
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    # One request a connection: the next one may want to go elsewhere.
    headers = [
        one for one in rest.split(b"\r\n") if one and not one.lower().startswith(b"connection:")
    ]
    start = f"{method} {path} {version}".encode()
    return target, b"\r\n".join([start, *headers, b"Connection: close", b"", b""])


async def _answer(writer: asyncio.StreamWriter, status: bytes) -> None:
    with suppress(OSError):
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()


async def _relay(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Both ways, until either side ends."""
    pumps = [
        asyncio.create_task(_pump(one[0], other[1])),
        asyncio.create_task(_pump(other[0], one[1])),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in (one[1], other[1]):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
