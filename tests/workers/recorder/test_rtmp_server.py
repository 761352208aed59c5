"""RTMP publishers over real sockets: ffmpeg as encoder, and clients that misbehave."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aethex.media.rtmp import Publish
from aethex.workers.recorder.rtmp_server import CannotListen, RtmpLimits, RtmpServer, serve_rtmp
from aethex.workers.recorder.sink import Sink
from tests.media.rtmp.encoder import closing, frames
from tests.workers.recorder.publishers import (
    RATE,
    Client,
    Kept,
    Sinks,
    decoded_frames,
    demuxed,
    ffmpeg,
    make_footage,
    run,
    tls_pair,
)

KEY = "sk-right-0123456789"
Serving = tuple[RtmpServer, Sinks]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_footage(tmp_path_factory.mktemp("film") / "film.mp4")


@asynccontextmanager
async def serving(
    limits: RtmpLimits | None = None,
    on_publish: Callable[[Publish], Awaitable[Sink | None]] | None = None,
    **options: object,
) -> AsyncIterator[Serving]:
    """A server that lets KEY in, and the sinks that it got, one a publication."""
    sinks = Sinks()

    async def check(publish: Publish) -> Kept | None:
        assert publish.address == "127.0.0.1"
        if publish.stream_key != KEY:
            return None
        return sinks.new()

    server = await serve_rtmp("127.0.0.1", 0, on_publish or check, limits=limits, **options)  # pyright: ignore[reportArgumentType]
    try:
        yield server, sinks
    finally:
        await server.stop()


def address(server: RtmpServer, key: str = KEY) -> str:
    return f"rtmp://127.0.0.1:{server.port}/live/{key}"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_every_packet_that_ffmpeg_pushes_arrives(tmp_path: Path, codec: str) -> None:
    source = make_footage(tmp_path / "film.mp4", codec=codec, seconds=1)

    async def test() -> None:
        async with serving() as (server, sinks):
            push = await ffmpeg("-i", source, "-c", "copy", "-f", "flv", address(server))
            await push.communicate()
            assert push.returncode == 0
            await sinks[0].finished.wait()
            assert sinks[0].is_clean
            assert demuxed(bytes(sinks[0].data)) == demuxed(source)
            assert decoded_frames(bytes(sinks[0].data)) == RATE

    run(test)


def test_a_wrong_key_is_refused_and_never_logged(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def test() -> None:
        async with serving() as (server, sinks):
            wrong = address(server, "sk-wrong-secret")
            push = await ffmpeg("-i", film, "-c", "copy", "-f", "flv", wrong)
            _, said = await push.communicate()
            assert push.returncode != 0
            assert b"stream key is not known" in said
            assert sinks == []

    run(test)
    assert "refused" in caplog.text
    assert "sk-wrong" not in caplog.text


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped with q", "killed"])
def test_how_an_encoder_leaves_is_known_and_what_it_sent_plays(film: Path, is_killed: bool) -> None:
    async def test() -> None:
        async with serving() as (server, sinks):
            endless = ("-re", "-stream_loop", "-1", "-i", film, "-c", "copy", "-f", "flv")
            push = await ffmpeg(*endless, address(server))
            sink = await sinks.first()
            await sink.has(20_000)
            if is_killed:
                push.send_signal(signal.SIGKILL)
                await push.wait()
            else:
                await push.communicate(b"q")
            await sink.finished.wait()
            assert sink.is_clean is not is_killed
            received = demuxed(bytes(sink.data))["video"]
            sent = demuxed(film)["video"] * 4
            assert len(received) > 10
            assert received == sent[: len(received)]
            assert decoded_frames(bytes(sink.data)) == len(received)

    run(test)


def test_a_slow_sink_holds_the_publisher_back_and_loses_nothing() -> None:
    class Slow(Kept):
        may_go_on = asyncio.Event()

        async def write(self, data: bytes) -> None:
            await super().write(data)
            await self.may_go_on.wait()

    async def test() -> None:
        slow = Slow()

        async def accept(_: Publish) -> Sink:
            return slow

        async with serving(on_publish=accept) as (server, _):
            client = await Client.connect(server.port)
            await client.ask(KEY)
            media = frames(500, size=60_000)
            sending = asyncio.create_task(client.send([*media, *closing()]))
            await slow.has(1)
            done, _ = await asyncio.wait([sending], timeout=0.3)
            assert not done
            assert len(slow.data) < 4 << 20
            slow.may_go_on.set()
            await sending
            await slow.finished.wait()
            payloads = sum(len(sent.payload) for sent in media[1:])
            assert slow.is_clean
            assert len(slow.data) > payloads

    run(test)


def test_a_silent_publisher_is_lost() -> None:
    async def test() -> None:
        async with serving(RtmpLimits(idle_seconds=0.2)) as (server, sinks):
            client = await Client.connect(server.port)
            await client.ask(KEY)
            await client.send(frames(2))
            await sinks[0].finished.wait()
            assert sinks[0].is_clean is False
            assert len(sinks[0].data) > 10_000
            await client.closed()

    run(test)


def test_who_does_not_publish_in_time_is_closed() -> None:
    async def test() -> None:
        async with serving(RtmpLimits(publish_within_seconds=0.2)) as (server, _):
            client = await Client.connect(server.port)
            client.writer.write(b"\x03")
            assert await client.closed() == b""

    run(test)


@pytest.mark.parametrize(
    "limits",
    [
        RtmpLimits(connections=1),
        RtmpLimits(connections_per_address=1),
        RtmpLimits(unknown_connections=0),
    ],
    ids=["in all", "per address", "unknown"],
)
def test_connections_beyond_a_limit_are_turned_away(limits: RtmpLimits) -> None:
    async def test() -> None:
        async with serving(limits) as (server, sinks):
            first = await Client.connect(server.port)
            if limits.unknown_connections:
                assert b"Publish.Start" in await first.ask(KEY)
                second = await Client.connect(server.port)
                assert await second.closed() == b""
                await first.send(closing())
                await sinks[0].finished.wait()
                first.writer.close()
                await first.closed()
                again = await Client.connect(server.port)
                while b"Publish.Start" not in await again.ask(KEY):
                    again = await Client.connect(server.port)
            else:
                assert await first.closed() == b""

    run(test)


def test_a_newer_publisher_takes_over_from_one_that_is_silent() -> None:
    async def test() -> None:
        limits = RtmpLimits(takeover_after_seconds=0.3, goodbye_seconds=0.1)
        async with serving(limits) as (server, sinks):
            dead, newer = await Client.connect(server.port), await Client.connect(server.port)
            await dead.ask(KEY)
            await dead.send(frames(2))
            await sinks[0].has(10_000)
            assert b"Publish.Start" in await newer.ask(KEY)
            assert sinks[0].is_clean is False
            assert len(sinks) == 2
            await dead.closed()
            await newer.send([*frames(3), *closing()])
            await sinks[1].finished.wait()
            assert sinks[1].is_clean

    run(test)


def test_a_newer_publisher_is_refused_while_the_older_one_is_heard() -> None:
    async def test() -> None:
        async with serving(RtmpLimits(takeover_after_seconds=10)) as (server, sinks):
            older, newer = await Client.connect(server.port), await Client.connect(server.port)
            await older.ask(KEY)
            await older.send(frames(2))
            asking = asyncio.create_task(newer.ask(KEY))
            while not asking.done():
                await older.send(frames(1)[1:])
                await asyncio.sleep(0.02)
            assert b"Publish.BadName" in await asking
            assert len(sinks) == 1
            assert sinks[0].is_clean is None
            await older.send(closing())
            await sinks[0].finished.wait()
            assert sinks[0].is_clean

    run(test)


def test_a_publisher_comes_back_at_once_after_a_goodbye() -> None:
    async def test() -> None:
        async with serving() as (server, sinks):
            for number in range(2):
                client = await Client.connect(server.port)
                assert b"Publish.Start" in await client.ask(KEY)
                await client.send([*frames(1), *closing()])
                await sinks[number].finished.wait()
            assert [sink.is_clean for sink in sinks] == [True, True]

    run(test)


def test_a_failing_sink_ends_its_publication_only(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Kept):
        async def write(self, data: bytes) -> None:
            await super().write(data)
            raise RuntimeError(f"no room for {KEY}")

    async def test() -> None:
        failing, kept = Failing(), Kept()
        waiting: list[Sink] = [failing, kept]

        async def accept(_: Publish) -> Sink:
            return waiting.pop(0)

        async with serving(on_publish=accept) as (server, _):
            for _ in range(2):
                client = await Client.connect(server.port)
                await client.ask(KEY)
                await client.send([*frames(1), *closing()])
                await client.closed()
            assert failing.is_clean is False
            assert kept.is_clean is True

    run(test)
    assert "RuntimeError" in caplog.text
    assert KEY not in caplog.text


def test_a_key_that_cannot_be_checked_is_refused_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(publish: Publish) -> Sink | None:
        raise LookupError(f"no database to look up {publish.stream_key}")

    async def test() -> None:
        async with serving(on_publish=fail) as (server, _):
            client = await Client.connect(server.port)
            assert b"Publish.BadName" in await client.ask(KEY)
            client.writer.close()

    run(test)
    assert "LookupError" in caplog.text
    assert KEY not in caplog.text


def test_a_key_that_could_not_be_checked_can_be_tried_again_at_once() -> None:
    async def test() -> None:
        answers: list[Sink | None] = [Kept(), None]

        async def accept(_: Publish) -> Sink | None:
            return answers.pop()

        async with serving(on_publish=accept) as (server, _):
            first, second = await Client.connect(server.port), await Client.connect(server.port)
            assert b"Publish.BadName" in await first.ask(KEY)
            assert b"Publish.Start" in await second.ask(KEY)

    run(test)


def test_the_server_speaks_rtmps(tmp_path: Path) -> None:
    server_side, client_side = tls_pair(tmp_path)

    async def test() -> None:
        async with serving(tls=server_side) as (server, sinks):
            client = await Client.connect(server.port, ssl=client_side)
            assert b"Publish.Start" in await client.ask(KEY)
            await client.send([*frames(2), *closing()])
            await sinks[0].finished.wait()
            assert sinks[0].is_clean

    run(test)


def test_stopping_finishes_every_publication_uncleanly() -> None:
    async def test() -> None:
        async with serving() as (server, sinks):
            client = await Client.connect(server.port)
            await client.ask(KEY)
            await client.send(frames(2))
            await sinks[0].has(10_000)
        assert sinks[0].is_clean is False

    run(test)


def test_a_port_that_is_taken_is_named_with_its_setting():
    async def listen_twice() -> None:
        async with serving() as (server, _):
            await serve_rtmp("127.0.0.1", server.port, lambda _: asyncio.sleep(0))

    with pytest.raises(CannotListen, match=r"another recorder, has the port \(AETHEX_RTMP_PORT\)"):
        run(listen_twice)
