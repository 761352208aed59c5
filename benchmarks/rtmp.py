"""How many RTMP publishers one core takes.

Encodes a publication like an encoder's (6 Mbit/s of video at 30 frames a second, and audio) in
chunks of 128 bytes (ffmpeg) and of 4096 (OBS). Measures the CPU time that turns it into FLV:
by the session alone, fed with reads of 64 KiB, and by the whole server, to which several
publishers push over loopback as fast as it takes them, from a process of their own. Last, 20
publishers push in real time, frame by frame, for ten seconds: what that takes of a core.

    .venv/bin/python -m benchmarks.rtmp [--seconds 60] [--publishers 4]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import socket
import threading
import time

from aethex.media.rtmp import FlvWriter, Media, PublisherSession
from aethex.media.rtmp.amf0 import encode
from aethex.media.rtmp.chunks import Message, write_chunks
from aethex.media.rtmp.events import MediaKind
from aethex.media.rtmp.session import HANDSHAKE_BYTES
from aethex.workers.recorder.rtmp_server import serve_rtmp

STREAM_BYTES_PER_SECOND = 6_000_000 / 8
FRAME_BYTES = 25_000
AUDIO_BYTES = 400
READ_BYTES = 64 * 1024
LIVE_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description="RTMP publishers a core, measured.")
    parser.add_argument("--seconds", type=int, default=60, help="length of one publication")
    parser.add_argument("--publishers", type=int, default=4)
    options = parser.parse_args()
    print(f"{'':>24} {'chunk':>6} {'MB/s a core':>12} {'streams a core':>15} {'20 streams':>11}")
    for chunk_bytes in (128, 4096):
        media = publication(options.seconds, chunk_bytes)
        show("session and FLV", chunk_bytes, len(media), session_seconds(media))
        cpu_seconds = asyncio.run(server_seconds(media, options.publishers))
        show("server, over loopback", chunk_bytes, len(media) * options.publishers, cpu_seconds)
        live = publication(LIVE_SECONDS, chunk_bytes)
        cpu_seconds = asyncio.run(server_seconds(live, 20, is_live=True))
        print(
            f"{'20 live publishers':>24} {chunk_bytes:>6} {cpu_seconds / LIVE_SECONDS:>40.3f} core"
        )


def show(what: str, chunk_bytes: int, size_bytes: int, cpu_seconds: float) -> None:
    rate = size_bytes / cpu_seconds
    streams = rate / STREAM_BYTES_PER_SECOND
    numbers = f"{rate / 1e6:>12.0f} {streams:>15.0f} {20 / streams:>6.3f} core"
    print(f"{what:>24} {chunk_bytes:>6} {numbers}")


def opening() -> bytes:
    """What an encoder sends until it publishes, in chunks of 128 bytes."""
    commands = (
        encode("connect", 1.0, {"app": "live"}),
        encode("createStream", 2.0, None),
        encode("publish", 3.0, None, "key", "live"),
    )
    messages = b"".join(write_chunks(Message(20, 0, 0, command), 3, 128) for command in commands)
    return b"\x03" + bytes(2 * HANDSHAKE_BYTES) + messages


def publication(seconds: int, chunk_bytes: int) -> bytes:
    """Set Chunk Size and `seconds` of video and audio, as chunks."""
    frame, sound = random.Random(1).randbytes(FRAME_BYTES), random.Random(2).randbytes(AUDIO_BYTES)
    parts = [write_chunks(Message(1, 0, 0, chunk_bytes.to_bytes(4, "big")), 2, 128)]
    for number in range(seconds * 30):
        time_ms = number * 1000 // 30
        parts.append(write_chunks(Message(MediaKind.VIDEO, 1, time_ms, frame), 6, chunk_bytes))
        parts.append(write_chunks(Message(MediaKind.AUDIO, 1, time_ms, sound), 4, chunk_bytes))
    return b"".join(parts)


def session_seconds(media: bytes) -> float:
    """CPU seconds of one session that makes FLV of it."""
    session, flv = PublisherSession(bytes(HANDSHAKE_BYTES - 8)), FlvWriter()
    session.receive(opening())
    session.accept()
    reads = [media[start : start + READ_BYTES] for start in range(0, len(media), READ_BYTES)]
    written = 0
    started = time.process_time()
    for read in reads:
        events = session.receive(read)
        written += len(flv.write([event for event in events if isinstance(event, Media)]))
    spent = time.process_time() - started
    assert written > len(media) * 0.9, "something was not understood"
    return spent


class CountingSink:
    """A sink that only counts."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.ended = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.size_bytes += len(data)

    async def finish(self, is_clean: bool) -> None:  # noqa: ARG002
        self.ended.set()


async def server_seconds(media: bytes, publishers: int, *, is_live: bool = False) -> float:
    """CPU seconds of a server to which so many push it, each under a key of its own."""
    sinks = [CountingSink() for _ in range(publishers)]
    free = iter(sinks)

    async def accept(_: object) -> CountingSink:
        return next(free)

    server = await serve_rtmp("127.0.0.1", 0, accept)
    pushers = multiprocessing.get_context("spawn").Process(
        target=push_all, args=(server.port, media, publishers, is_live)
    )
    pushers.start()
    started = time.process_time()
    for sink in sinks:
        await sink.ended.wait()
    spent = time.process_time() - started
    pushers.join()
    await server.stop()
    assert sum(sink.size_bytes for sink in sinks) > len(media) * publishers * 0.9
    return spent


def push_all(port: int, media: bytes, publishers: int, is_live: bool) -> None:
    threads = [
        threading.Thread(target=push, args=(port, media, number, is_live))
        for number in range(publishers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def push(port: int, media: bytes, number: int, is_live: bool) -> None:
    start = opening().replace(b"\x00\x03key", f"\x00\x03{number:03}".encode())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(start)
        frames = LIVE_SECONDS * 30 if is_live else 1
        step = -(-len(media) // frames)
        began = time.monotonic()
        for frame in range(frames):
            time.sleep(max(0.0, began + frame / 30 - time.monotonic()))
            connection.sendall(media[frame * step : (frame + 1) * step])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(READ_BYTES):
            pass


if __name__ == "__main__":
    main()
