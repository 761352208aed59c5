"""From the bytes of a live stream to a VOD that plays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aethex.library import Library, captures, vods
from aethex.library.ledger import ledger
from aethex.settings import Settings
from aethex.store import Store
from tests.workers.recorder.live_streams import (
    START,
    Studio,
    add_live_stream,
    decoded_frames,
    end_stream,
    make_flv,
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
    gaps = [(gap.from_ms, gap.to_ms, gap.cause) for gap in found.gaps]
    assert gaps == [(0, 200, "late_start")]
    keys = {info.key for info in studio.store.list("vods")}
    assert not any(key.endswith("live.m3u8") for key in keys)
    assert vod.size_bytes == sum(info.size_bytes for info in studio.store.list("vods"))
