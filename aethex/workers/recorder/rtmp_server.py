"""Listens for RTMP publishers, has their stream keys checked, and hands their FLV to a sink.

What belongs here: sockets, time-outs, limits, which of two publishers with one key stays. What does
not: the protocol (`aethex/media/rtmp`), which keys are good and what is recorded (the caller).

The stream key is in no log line and no exception: whatever is logged here names the address, the
kind of an error and the session's own reasons, which quote nothing that a client sent.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from aethex.media.rtmp import End, Event, FlvWriter, Media, Publish, PublisherSession
from aethex.workers.recorder.live_keys import LiveKeys
from aethex.workers.recorder.sink import Sink

logger = logging.getLogger(__name__)

OnPublish = Callable[[Publish], Awaitable[Sink | None]]
_READ_BYTES = 256 * 1024
_FIRST_READ_BYTES = 16 * 1024
_NONCE_BYTES = 1528


class CannotListen(OSError):
    """Nothing can listen there; the message says where, why, and which settings change it."""


@dataclass(frozen=True, slots=True)
class RtmpLimits:
    """What publishers may use, and how long the server waits for them."""

    connections: int = 100
    connections_per_address: int = 20
    unknown_connections: int = 40
    """Those that did not publish yet, or whose key is being checked."""

    publish_within_seconds: float = 10.0
    idle_seconds: float = 15.0
    """A publisher that sends nothing, or takes no answer, for so long counts as lost."""

    takeover_after_seconds: float = 5.0
    """A publisher that was silent for so long gives way to a newer one with its key."""

    goodbye_seconds: float = 2.0


class RtmpServer:
    """A listening server. `port` is the one that it got; `stop` ends every publication, uncleanly,
    and returns when all sinks are finished.
    """

    def __init__(self, on_publish: OnPublish, limits: RtmpLimits) -> None:
        self._on_publish = on_publish
        self._limits = limits
        self._keys = LiveKeys(limits.takeover_after_seconds)
        self._addresses: Counter[str] = Counter()
        self._unknown = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        patience = self._limits.publish_within_seconds if tls else None
        try:
            self._server = await asyncio.start_server(
                *(self._take, host, port),
                limit=_READ_BYTES,
                ssl=tls,
                ssl_handshake_timeout=patience,
            )
        except OSError as error:
            raise CannotListen(f"RTMP cannot be taken on {host}:{port}: {_why(error)}.") from error

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection in a task of its own, or turn it away."""
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else "unknown"
        if (
            self._addresses.total() >= self._limits.connections
            or self._addresses[address] >= self._limits.connections_per_address
            or self._unknown >= self._limits.unknown_connections
        ):
            logger.warning("rtmp: %s turned away: too many connections", address)
            writer.transport.abort()
            return
        self._addresses[address] += 1
        self._unknown += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Here, because a task that is cancelled before its first step runs nothing of its own.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        publisher = _Publisher(reader, writer, address, self._limits)
        try:
            try:
                await self._record(publisher)
            finally:
                self._keys.release(publisher)
            await publisher.say_goodbye()
        except Exception as error:
            # Never its text: it may quote the key that the caller was asked about.
            logger.error("rtmp: %s dropped: %s", address, type(error).__name__)
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def _record(self, publisher: _Publisher) -> None:
        try:
            sink = await self._admit(publisher)
        finally:
            self._unknown -= 1
        if sink is not None:
            await publisher.relay(sink)

    async def _admit(self, publisher: _Publisher) -> Sink | None:
        """The sink of a publisher whose key is good and free; None: it was told why not."""
        publish = await publisher.ask()
        if publish is None:
            return None
        if not await self._keys.claim(publish.stream_key, publisher):
            publisher.refuse("a live publisher has its key")
            return None
        try:
            sink = await self._on_publish(publish)
        except Exception as error:
            publisher.refuse(f"its key could not be checked ({type(error).__name__})")
            return None
        if sink is None:
            publisher.refuse("its key is not known")
        return sink


class _Publisher:
    """One connection: its session, its socket, and how long it has been silent."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: str,
        limits: RtmpLimits,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._address = address
        self._limits = limits
        self._session = PublisherSession(os.urandom(_NONCE_BYTES))
        self._flv = FlvWriter()
        self._task = asyncio.current_task()
        self._heard = asyncio.Event()
        self._over = asyncio.Event()
        self._waiting_since: float | None = None
        self._is_ending = False
        self._is_replaced = False

    # What LiveKeys asks of whoever holds a key.

    async def falls_silent(self, seconds: float) -> bool:
        """Wait until nothing was heard for so long (True), or until something is (False).

        While the sink is what is waited for, the silence is ours. Who ends anyway is silent.
        """
        if self._is_ending:
            return True
        if self._waiting_since is None:
            return False
        self._heard.clear()
        left = self._waiting_since + seconds - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(left):
                await self._heard.wait()
        except TimeoutError:
            return self._is_waiting()
        return self._is_ending

    def _is_waiting(self) -> bool:
        return self._waiting_since is not None

    async def give_way(self) -> None:
        """End the publication and wait until its sink is finished."""
        if not self._is_ending and self._task is not None:
            self._is_ending = self._is_replaced = True
            self._task.cancel()
        await self._over.wait()

    # The connection's life.

    async def ask(self) -> Publish | None:
        """Read until the client asks to publish; None when it says something else or nothing."""
        try:
            async with asyncio.timeout(self._limits.publish_within_seconds):
                while data := await self._reader.read(_FIRST_READ_BYTES):
                    events = self._session.receive(data)
                    await self._flush()
                    for event in events:
                        if isinstance(event, Publish):
                            return replace(event, address=self._address)
                        if isinstance(event, End):
                            self._log_end(event)
                            return None
        except TimeoutError:
            logger.info("rtmp: %s did not publish in time", self._address)
        except OSError:
            pass
        return None

    def refuse(self, reason: str) -> None:
        logger.warning("rtmp: %s refused: %s", self._address, reason)
        self._session.refuse()

    async def relay(self, sink: Sink) -> None:
        """Pass on what is published until it ends; the sink is finished whatever happens."""
        is_clean = False
        logger.info("rtmp: %s publishes", self._address)
        try:
            is_clean = await self._relay(sink)
        except asyncio.CancelledError:
            if not self._is_replaced or self._task is None:
                raise
            self._task.uncancel()
            logger.warning("rtmp: %s was silent; a newer one took its key", self._address)
        finally:
            self._is_ending = True
            self._heard.set()
            try:
                await sink.finish(is_clean)
            finally:
                self._over.set()

    async def _relay(self, sink: Sink) -> bool:
        events = self._session.accept()
        while True:
            await self._flush()
            tags = self._flv.write([event for event in events if isinstance(event, Media)])
            if tags:
                await sink.write(tags)
            if events and isinstance(end := events[-1], End):
                self._log_end(end)
                await self._flush()
                return end.is_clean
            events = await self._next_events()

    async def _next_events(self) -> list[Event]:
        self._waiting_since = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                data = await self._reader.read(_READ_BYTES)
        except TimeoutError:
            return self._session.connection_lost("nothing came any more")
        except OSError:
            data = b""
        finally:
            self._waiting_since = None
        self._heard.set()
        return self._session.receive(data) if data else self._session.connection_lost()

    async def _flush(self) -> None:
        """Send what there is; who takes no answers is lost."""
        output = self._session.take_output()
        if output:
            self._writer.write(output)
            try:
                async with asyncio.timeout(self._limits.idle_seconds):
                    await self._writer.drain()
            except OSError:  # TimeoutError is one; the next read tells that the connection is lost
                self._writer.transport.abort()

    async def say_goodbye(self) -> None:
        """Send the last answer, and wait until the client has read it and closed.

        Closing at once with bytes unread would reset the connection, and the answer with it.
        """
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._limits.goodbye_seconds):
                await self._flush()
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                while await self._reader.read(_READ_BYTES):
                    pass

    def _log_end(self, end: End) -> None:
        if end.is_clean:
            logger.info("rtmp: %s ended its stream", self._address)
        else:
            logger.warning("rtmp: %s lost: %s", self._address, end.reason)


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program, or another recorder, has the port (AETHEX_RTMP_PORT)"
    return f"{error.strerror or type(error).__name__} (AETHEX_HOST, AETHEX_RTMP_PORT)"


async def serve_rtmp(
    host: str,
    port: int,
    on_publish: OnPublish,
    *,
    limits: RtmpLimits | None = None,
    tls: ssl.SSLContext | None = None,
) -> RtmpServer:
    """Listen on an address (port 0: any free one; with `tls`: RTMPS) until the server is stopped.

    `on_publish` is awaited for each client that asks to publish; it checks `stream_key` and returns
    where the FLV goes, or None to refuse. A second publisher with a key that is live takes over
    once the first has been silent for `takeover_after_seconds`, and is refused if the first is
    heard from before that. Raises CannotListen when the address cannot be had.
    """
    server = RtmpServer(on_publish, limits or RtmpLimits())
    await server.start(host, port, tls)
    return server
