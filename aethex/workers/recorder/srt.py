"""Listens for an SRT publisher on a port of its own, with an ffmpeg child.

What belongs here: the child, its life, and what its end means. What does not: what is recorded of
its bytes (the caller's sink).

libsrt checks the stream key itself: it is the passphrase of the connection, and who has another one
is turned away in the handshake. One listening child takes one publisher; after it another child
listens. So an input needs a port of its own.

The key must not stand in the process list. ffmpeg (up to 9.0) takes a protocol's options from its
command line only, but its concat demuxer takes a script from stdin, in which the address
and the options of an input stand. So the command names neither, and the script goes through a pipe.

SRT says goodbye in one packet. When it came, the child ends at once, else five seconds after the
last packet: so an end right after the last bytes is clean, an end after silence is a loss. An
encoder that leaves without a goodbye counts as lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.sandbox import Limits, confined_with_network
from aethex.media.whitelist import CODECS
from aethex.workers.recorder.sink import Sink

logger = logging.getLogger(__name__)

OnConnect = Callable[[], Awaitable[Sink | None]]
Container = Literal["flv", "mpegts"]

IDLE_SECONDS = 15.0
_GOODBYE_SECONDS = 2.5
"""Silence before the end that still counts as a goodbye: half of what libsrt waits for a peer."""

_LONGEST_WAIT_SECONDS = 30.0
_COMPLAINT_SECONDS = 60.0
_READ_BYTES = 256 * 1024
_MEMORY_BYTES = 2 * 1024**3
_CPU_WALL_SECONDS = 30 * 24 * 3600.0
_HOST = re.compile(r"[0-9a-zA-Z.-]+|[0-9a-fA-F:]+")
_PASSPHRASE = re.compile(r"[0-9a-zA-Z_.~-]{10,79}")


class WrongSrtInputs(ValueError):
    """The setting cannot be; the message says why and quotes no key."""


@dataclass(frozen=True, slots=True)
class SrtInput:
    """Where to listen, and the key. `latency_ms`: how long lost packets are waited for.

    Raises WrongSrtInputs for a port, host or passphrase that cannot be; it never quotes the latter.
    """

    host: str
    port: int
    passphrase: str = field(repr=False)
    latency_ms: int = 200

    def __post_init__(self) -> None:
        if not _PASSPHRASE.fullmatch(self.passphrase):
            raise WrongSrtInputs(
                "an SRT passphrase has 10 to 79 letters, digits, or any of _ . ~ -; "
                "make a new stream key for this input."
            )
        if not _HOST.fullmatch(self.host) or not 0 < self.port < 65536:
            raise WrongSrtInputs(f"srt {self.host!r}, port {self.port}: no address to listen on.")


def parsed_inputs(text: str, host: str) -> list[SrtInput]:
    """What `AETHEX_SRT_INPUTS` says: `9001=key,9002=key`. Raises WrongSrtInputs."""
    found: list[SrtInput] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        port, separator, key = part.partition("=")
        if not separator or not port.isdecimal():
            raise WrongSrtInputs(
                "AETHEX_SRT_INPUTS is a list of ports and keys: 9001=key,9002=key."
            )
        found.append(SrtInput(host, int(port), key))
    if len({one.port for one in found}) != len(found):
        raise WrongSrtInputs("AETHEX_SRT_INPUTS names a port twice: each input needs its own.")
    return found


def srt_command(container: Container = "flv") -> list[str]:
    """ffmpeg as a listener that writes the stream to stdout; the address comes by `srt_script`.

    Raises FfmpegMissing.
    """
    return [
        *(str(find_ffmpeg()), "-hide_banner", "-v", "warning", "-nostats"),
        *("-protocol_whitelist", "pipe,srt,udp", "-format_whitelist", "concat,mpegts"),
        *("-codec_whitelist", CODECS, "-safe", "0", "-f", "concat", "-i", "pipe:0"),
        *("-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy", "-flush_packets", "1"),
        *("-f", container, "pipe:1"),
    ]


def srt_script(srt_input: SrtInput) -> bytes:
    """What the listener reads from stdin. It holds the key: never log it, never store it."""
    host = f"[{srt_input.host}]" if ":" in srt_input.host else srt_input.host
    lines = (
        "ffconcat version 1.0",
        f"file 'srt://{host}:{srt_input.port}?mode=listener'",
        f"option passphrase {srt_input.passphrase}",
        "option enforced_encryption 1",
        f"option latency {srt_input.latency_ms * 1000}",
        f"option timeout {int(IDLE_SECONDS * 1_000_000)}",
        "option protocol_whitelist srt,udp",
        "option format_whitelist mpegts",
        f"option codec_whitelist {CODECS}",
    )
    return "\n".join((*lines, "")).encode()


async def serve_srt(
    srt_input: SrtInput,
    on_connect: OnConnect,
    *,
    container: Container = "flv",
    idle_seconds: float = IDLE_SECONDS,
) -> None:
    """Listen until cancelled, for one publisher after the other.

    `on_connect` is awaited once the first bytes of one with the right key are here; it returns
    where they go, or None to end the connection. A listener that cannot start, as when the
    port is taken, is tried again, each time later, at most every 30 s. Raises FfmpegMissing.
    """
    command = confined_with_network(
        srt_command(container), readable=[find_ffmpeg()], limits=_limits()
    )
    wait_seconds = 0.0
    while True:
        listener = await _start(command, srt_input)
        try:
            has_published = await listener.relay(on_connect, idle_seconds)
        finally:
            await listener.stop()
        wait_seconds = 0.0 if has_published else min(_LONGEST_WAIT_SECONDS, wait_seconds * 2 + 0.5)
        if not has_published:
            logger.warning("srt port %d: %s", srt_input.port, listener.last_words())
        await asyncio.sleep(wait_seconds)


def _limits() -> Limits:
    return Limits(memory_bytes=_MEMORY_BYTES, file_bytes=0, wall_seconds=_CPU_WALL_SECONDS)


async def _start(command: list[str], srt_input: SrtInput) -> _Listener:
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_READ_BYTES,
        env={"PATH": "", "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    assert child.stdin is not None
    listener = _Listener(child, srt_input)
    with suppress(OSError):
        child.stdin.write(srt_script(srt_input))
        await child.stdin.drain()
    child.stdin.close()
    return listener


class _Listener:
    """A listening child, and the one publication that comes through it."""

    def __init__(self, child: asyncio.subprocess.Process, srt_input: SrtInput) -> None:
        self._child = child
        self._srt_input = srt_input
        self._tail = b""
        self._complained_at: float | None = None
        self._errors = asyncio.get_running_loop().create_task(self._read_errors())

    async def relay(self, on_connect: OnConnect, idle_seconds: float) -> bool:
        """Pass on what is published, until it ends; whether anything was."""
        assert self._child.stdout is not None
        data = await self._child.stdout.read(_READ_BYTES)
        if not data:
            return False
        sink = await on_connect()
        if sink is None:
            logger.warning("srt port %d: a publisher was refused", self._srt_input.port)
            return True
        logger.info("srt port %d: a publisher is here", self._srt_input.port)
        is_clean = False
        try:
            is_clean = await self._pass_on(self._child.stdout, data, sink, idle_seconds)
        finally:
            await sink.finish(is_clean)
        how = "ended its stream" if is_clean else "was lost"
        logger.info("srt port %d: the publisher %s", self._srt_input.port, how)
        return True

    async def _pass_on(
        self, stdout: asyncio.StreamReader, data: bytes, sink: Sink, idle_seconds: float
    ) -> bool:
        """Until the end; whether that was a goodbye.

        What ffmpeg held back comes after the silence and right before the end, so bytes that
        follow a silence do not count as a sign of life by themselves.
        """
        clock = asyncio.get_running_loop().time
        alive_at = clock()
        while True:
            await sink.write(data)
            asked_at = clock()
            try:
                async with asyncio.timeout(idle_seconds):
                    data = await stdout.read(_READ_BYTES)
            except TimeoutError:
                return False
            now = clock()
            if not data:
                return now - alive_at < _GOODBYE_SECONDS
            if now - asked_at < _GOODBYE_SECONDS:
                alive_at = now

    async def stop(self) -> None:
        """Kill the child, if it is still there, and wait for its end."""
        if self._child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
        await self._child.wait()
        await self._errors

    def last_words(self) -> str:
        """What the child said last, without the key."""
        lines = self._tail.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        words = lines[-1].replace(self._srt_input.passphrase, "***")[:300]
        return f"the listener ended without a publisher: {words}"

    async def _read_errors(self) -> None:
        assert self._child.stderr is not None
        while data := await self._child.stderr.read(4096):
            self._tail = (self._tail + data)[-4000:]
            if b"BADSECRET" in data:
                self._complain()

    def _complain(self) -> None:
        """Once a minute: who tries keys should not fill the log."""
        now = asyncio.get_running_loop().time()
        if self._complained_at is None or now - self._complained_at > _COMPLAINT_SECONDS:
            self._complained_at = now
            logger.warning("srt port %d: a caller has another passphrase", self._srt_input.port)
