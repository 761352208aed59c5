"""From the bytes of a live stream to a VOD that plays."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from aethex.library import Library, Stream, captures, channels, inputs, jobs, live, new_id, vods
from aethex.library.ledger import ledger
from aethex.media.ffmpeg import find_ffmpeg
from aethex.settings import Settings
from aethex.store import Store
from tests.workers.recorder.live_streams import (
    START,
    Studio,
    add_live_stream,
    decoded_frames,
    end_stream,
    make_flv,
    pieces_of,
)


@pytest.fixture(scope="module")
def flv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds: segments of four."""
    return make_flv(tmp_path_factory.mktemp("flv") / "twelve.flv")


@pytest.fixture
def studio(settings: Settings, library: Library, folder_store: Store) -> Iterator[Studio]:
    short = settings.model_copy(update={"recording_min_seconds": 5})
    studio = Studio(short, library, folder_store)
    yield studio
    studio.close()


def test_a_stream_becomes_a_vod_that_plays_from_end_to_end(
    studio: Studio, library: Library, flv: Path
):
    stream = add_live_stream(library)
    studio.record(stream, flv)
    end_stream(library, stream.id, timedelta(seconds=12.3))
    studio.finish()
    with library.session() as s:
        capture = captures.of_stream(s, stream.id)
        assert capture is not None
        vod = vods.get_listed(s, capture.vod_id)
        assert vod is not None
        runs = vods.runs_and_segments(s, vod.id)
        found = ledger(s, vod.id)
    assert (vod.duration_ms, vod.width, vod.height) == (12_000, 320, 180)
    assert (vod.frame_rate, vod.video_codec, vod.audio_codec) == (30, "h264", "aac")
    assert [segment.start_ms for segment in runs[0].segments] == [0, 4000, 8000]
    assert runs[0].run.started_at == START + timedelta(seconds=0.2)
    assert vod.poster_key is not None
    assert studio.store.get(vod.poster_key)[:2] == b"\xff\xd8"
    assert decoded_frames(studio.settings, str(vod.playlist_key)) == 360
    assert (found.expected_ms, found.gaps) == (12_300, ())
    keys = {info.key for info in studio.store.list("vods")}
    assert not any(key.endswith("live.m3u8") for key in keys)
    assert vod.size_bytes == sum(info.size_bytes for info in studio.store.list("vods"))


def test_frames_before_the_first_keyframe_are_missing(
    studio: Studio, library: Library, flv: Path, tmp_path: Path
):
    stream = add_live_stream(library)
    late = tmp_path / "late.flv"
    late.write_bytes(without_first_keyframe(flv.read_bytes()))
    studio.record(stream, late, starts=(1.0,))
    end_stream(library, stream.id, timedelta(seconds=12.0))
    studio.finish()
    with library.session() as s:
        capture = captures.of_stream(s, stream.id)
        assert capture is not None
        found = ledger(s, capture.vod_id)
    assert [(gap.from_ms, gap.to_ms, gap.cause) for gap in found.gaps] == [(0, 1000, "late_start")]


def without_first_keyframe(flv: bytes) -> bytes:
    """The file without its first picture: a tag is 11 bytes, the data, and its size in 4 bytes."""
    at = 13
    while True:
        size = 11 + int.from_bytes(flv[at + 1 : at + 4], "big") + 4
        if flv[at] == 9 and flv[at + 11 : at + 13] == b"\x17\x01":
            return flv[:at] + flv[at + size :]
        at += size


def test_a_stream_that_was_joined_with_another_one_loses_nothing(
    studio: Studio, library: Library, flv: Path
):
    """Its row is gone before its first segment is up; the input's other stream has taken it in."""
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        of = inputs.add_input(s, channel.id, "rtmp", key="key")
        live.signal(s, of.id, "connected", START, "first", START)
        stream = live.live_stream(s, of.id)
        assert stream is not None
    gone = Stream(id=new_id("st"), channel_id=channel.id, title="gone", status="scheduled")
    studio.record(gone, flv, input_id=of.id)
    end_stream(library, stream.id, timedelta(seconds=12))
    studio.finish()
    with library.session() as s:
        (vod,) = vods.list_stream_vods(s, stream.id)
    assert vod.duration_ms == 12_000


def test_while_it_runs_a_playlist_grows_that_says_what_happened(
    studio: Studio, library: Library, flv: Path
):
    stream = add_live_stream(library)
    studio.record(stream, flv, flv, starts=(0, 30))
    with library.session() as s:
        capture = captures.of_stream(s, stream.id)
        assert capture is not None
        first, second = (run.run.id for run in vods.runs_and_segments(s, capture.vod_id))
        assert vods.get_listed(s, capture.vod_id) is None
    key = f"vods/{stream.channel_id}/{stream.id}/{capture.vod_id}/live.m3u8"
    segments = [f"#EXTINF:4.000,\n../{{}}/{n:06}.m4s" for n in range(3)]
    assert studio.store.get(key).decode().splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="../{first}/init.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-20T18:00:00.000Z",
        *"\n".join(segments).format(first, first, first).splitlines(),
        "#EXT-X-DISCONTINUITY",
        f'#EXT-X-MAP:URI="../{second}/init.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-20T18:00:30.000Z",
        *"\n".join(segments).format(second, second, second).splitlines(),
    ]


def test_a_recording_under_the_minimum_is_a_test(
    settings: Settings, library: Library, folder_store: Store, flv: Path
):
    stream = add_live_stream(library)
    studio = Studio(settings, library, folder_store)  # a minute is the least
    studio.record(stream, flv)
    end_stream(library, stream.id, timedelta(seconds=12))
    studio.finish()
    studio.close()
    with library.session() as s:
        capture = captures.of_stream(s, stream.id)
        assert capture is not None
        vod = vods.get(s, capture.vod_id)
        assert vod is not None
        assert (vods.get_listed(s, vod.id), vod.delete_reason) == (None, "test")
        assert jobs.open_job(s, "derive", vod.id) is None


def test_what_takes_longer_is_asked_for_when_the_vod_is_ready(
    studio: Studio, library: Library, flv: Path
):
    stream = add_live_stream(library)
    studio.record(stream, flv)
    end_stream(library, stream.id, timedelta(seconds=12))
    studio.finish()
    with library.session() as s:
        (vod,) = vods.list_stream_vods(s, stream.id)
        assert jobs.open_job(s, "derive", vod.id) is not None


def test_of_sound_alone_nothing_is_recorded_and_the_log_says_why(
    studio: Studio, library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    stream = add_live_stream(library)
    sound = tmp_path / "sound.flv"
    command = f"{find_ffmpeg()} -v error -f lavfi -i sine=b=4 -t 5 -c:a aac {sound}"
    subprocess.run(command.split(), check=True)
    studio.record(stream, sound)
    assert f"no picture came of {stream.id}" in caplog.text
    with library.session() as s:
        assert captures.of_stream(s, stream.id) is None


def test_an_object_that_somebody_deleted_keeps_no_vod_from_being_finished(
    studio: Studio, library: Library, flv: Path
):
    stream = add_live_stream(library)
    studio.record(stream, flv)
    end_stream(library, stream.id, timedelta(seconds=12))
    segments = [info.key for info in studio.store.list("vods") if info.key.endswith("0.m4s")]
    studio.store.delete(segments)
    studio.finish()
    with library.session() as s:
        (vod,) = vods.list_stream_vods(s, stream.id)
    assert vod.poster_key is None


def test_recording_does_not_wait_for_what_waits_for_the_database(
    studio: Studio, library: Library, flv: Path
):
    """Each encoder that is lost meanwhile has one of asyncio's threads wait."""
    stream = add_live_stream(library)
    is_back = threading.Event()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        waiting = loop.run_in_executor(None, is_back.wait)
        capture = studio.capture(stream)
        try:
            async with asyncio.timeout(20):
                await studio.feed(capture, pieces_of(flv))
                await capture.finish()
        finally:
            is_back.set()
        await waiting
        assert capture.segments == 3
        assert await studio.archive.drain(30)

    asyncio.run(run())
