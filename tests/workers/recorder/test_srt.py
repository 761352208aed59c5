"""SRT publishers: ffmpeg pushes with the right key, a wrong one, and is killed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from aethex.workers.recorder.srt import SrtInput, serve_srt, srt_command
from tests.workers.recorder.publishers import (
    RATE,
    Kept,
    Sinks,
    decoded_frames,
    ffmpeg,
    make_footage,
    run,
)

KEY = "sk-right.0123456789~abcdef"
SECONDS = 2


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_footage(tmp_path_factory.mktemp("film") / "film.mp4", seconds=SECONDS)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, Sinks]]:
    """A listener on a free port. The seen command lines and environments hold no key."""
    sinks = Sinks()

    async def accept() -> Kept:
        for listener in listeners():
            assert KEY.encode() not in listener, "the key is in the process list"
        return sinks.new()

    port = free_port()
    serving = asyncio.create_task(serve_srt(SrtInput("127.0.0.1", port, KEY), accept))
    try:
        yield port, sinks
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    assert not any(f":{port}".encode() in listener for listener in listeners())


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listeners() -> list[bytes]:
    """Command line and environment of each ffmpeg that listens as a child of this process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            command = (process / "cmdline").read_bytes()
            if parent == os.getpid() and b"concat,mpegts" in command:
                found.append(command + (process / "environ").read_bytes())
    return found


async def push(port: int, film: Path, key: str) -> asyncio.subprocess.Process:
    form = ("-re", "-i", film, "-c", "copy", "-f", "mpegts")
    return await ffmpeg(*form, "-passphrase", key, f"srt://127.0.0.1:{port}")


def test_a_wrong_key_is_turned_away_and_the_right_one_recorded_again_and_again(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aethex")

    async def test() -> None:
        async with listening() as (port, sinks):
            wrong = await push(port, film, "sk-wrong-0123456789")
            _, said = await wrong.communicate()
            assert b"Incorrect passphrase" in said
            assert wrong.returncode != 0
            assert sinks == []
            for number in range(2):
                right = await push(port, film, KEY)
                await right.communicate()
                await sinks[number].finished.wait()
                assert sinks[number].is_clean
                # An encoder that closes drops what its latency holds back: the last 0.2 s here.
                shown = decoded_frames(bytes(sinks[number].data), may_break_off=True)
                assert SECONDS * RATE - RATE // 2 <= shown <= SECONDS * RATE

    run(test)
    assert "another passphrase" in caplog.text
    assert KEY not in caplog.text


def test_a_killed_encoder_is_lost(film: Path) -> None:
    async def test() -> None:
        async with listening() as (port, sinks):
            killed = await push(port, film, KEY)
            sink = await sinks.first()
            await sink.has(5_000)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            await sink.finished.wait()
            assert sink.is_clean is False
            assert decoded_frames(bytes(sink.data), may_break_off=True) > 5

    run(test)


def test_a_listener_that_cannot_have_its_port_tries_again(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            sinks = Sinks()

            async def accept() -> Kept:
                return sinks.new()

            serving = asyncio.create_task(serve_srt(SrtInput("127.0.0.1", port, KEY), accept))
            while "without a publisher" not in caplog.text:
                await asyncio.sleep(0.02)
        pushed = await push(port, film, KEY)
        await pushed.communicate()
        await sinks[0].finished.wait()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    run(test)


@pytest.mark.parametrize(
    "passphrase", ["short", "x" * 80, "with spaces in it", "quote'quote'quote"]
)
def test_a_passphrase_that_cannot_be_is_refused_without_quoting_it(passphrase: str) -> None:
    with pytest.raises(ValueError, match="10 to 79") as refused:
        SrtInput("0.0.0.0", 9000, passphrase)
    assert passphrase not in str(refused.value)


def test_neither_address_nor_key_is_in_the_command() -> None:
    srt_input = SrtInput("203.0.113.7", 9000, KEY)
    words = " ".join(srt_command("mpegts"))
    assert "srt://" not in words
    assert KEY not in repr(srt_input)
