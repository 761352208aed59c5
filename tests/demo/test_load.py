"""The demo comes in once, is continued after an interruption, and stays away when deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from aethex.demo import load as loading
from aethex.demo import missing as lookup
from aethex.demo.content import CHANNELS, DemoChannel
from aethex.demo.load import DemoFailed, load
from aethex.demo.missing import find_missing, needs_refresh
from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.publish import publish
from aethex.library import Library, channels, streams, vods
from aethex.library.segments import of_stream
from aethex.settings import Settings

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> tuple[DemoChannel, ...]:
    """One channel with a film of two seconds and a stream without one."""
    channel = CHANNELS[0]
    first, _, third, _ = channel.streams
    assert first.film is not None
    short = replace(first, film=replace(first.film, seconds=2.0))
    small = (replace(channel, streams=(short, third)),)
    for module in (loading, lookup):
        monkeypatch.setattr(module, "CHANNELS", small)
    return small


def test_all_of_it_comes_in_once(
    settings: Settings, library: Library, lake: Lake, small_demo: tuple[DemoChannel, ...]
) -> None:
    shares: dict[str, list[float]] = {}
    missing = find_missing(settings, NOW)
    assert len(missing) == 2
    load(settings, missing, lambda key, _, share: shares.setdefault(key, []).append(share))
    assert set(shares) == {"data", "runner"}
    assert all(told == sorted(told) and told[-1] == 1.0 for told in shares.values())

    with library.session() as s:
        channel = channels.by_username(s, "pixelpilot")
        assert channel is not None
        assert channel.title == "Pixel Pilot"
        (vod,) = vods.list_channel_vods(s, channel.id).items
        found = {one.title: one for one in streams.list_channel_streams(s, channel.id).items}
        first, other = small_demo[0].streams
        stream = found[first.title]
        assert len(of_stream(s, stream.id)) == len(first.parts)
        (run,) = vods.runs_and_segments(s, vod.id)
    assert (vod.stream_id, vod.width, vod.height) == (stream.id, 1280, 720)
    assert (vod.video_codec, vod.audio_codec) == ("h264", "aac")
    assert stream.started_at is not None
    assert stream.started_at == datetime(2026, 2, 17, 18, tzinfo=UTC)
    assert first.film is not None
    into = timedelta(minutes=first.film.minutes_in)
    assert run.run.started_at == stream.started_at + into
    assert stream.ended_at == stream.started_at + timedelta(minutes=first.minutes)

    publish(lake)
    rows = lake.table(VIEWER_SNAPSHOTS).scan().to_arrow().num_rows
    assert rows == first.minutes + other.minutes
    assert find_missing(settings, NOW + timedelta(days=40)) == []


def test_what_was_interrupted_goes_on_with_the_times_of_the_first_start(
    settings: Settings,
    library: Library,
    small_demo: tuple[DemoChannel, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DemoFailed("no")

    with monkeypatch.context() as broken:
        broken.setattr(loading, "import_video", fail)
        with pytest.raises(DemoFailed):
            load(settings, find_missing(settings, NOW), lambda *_: None)
    days_later = find_missing(settings, NOW + timedelta(days=2))
    assert [(entry.needs_viewers, entry.needs_film) for entry in days_later] == [(False, True)]
    assert days_later[0].started_at == datetime(2026, 2, 17, 18, tzinfo=UTC)
    load(settings, days_later, lambda *_: None)
    assert find_missing(settings, NOW) == []

    with library.session() as s:
        channel = channels.by_username(s, "pixelpilot")
        assert channel is not None
        (vod,) = vods.list_channel_vods(s, channel.id).items
        vods.mark_deleted(s, vod.id, NOW)
    assert find_missing(settings, NOW) == [], "a deleted video does not come back"
    assert needs_refresh(settings)
    assert small_demo


def test_a_film_that_cannot_be_rendered_says_why(
    settings: Settings, tmp_path: Path, small_demo: tuple[DemoChannel, ...]
) -> None:
    film = small_demo[0].streams[0].film
    assert film is not None
    renders = loading._Renders()
    with pytest.raises(DemoFailed, match="KeyError"):
        renders.render(replace(film, scene="nothing"), "", tmp_path / "film.mp4", lambda _: None)
    renders.stop()
    with pytest.raises(DemoFailed, match="stopped"):
        renders.render(film, "", tmp_path / "film.mp4", lambda _: None)
    assert settings


def test_a_film_has_the_pictures_and_the_sound_that_were_asked_for(tmp_path: Path) -> None:
    from aethex.demo.film import render

    told: list[tuple[int, int]] = []
    path = tmp_path / "film.mp4"
    render("racer", 3.0, "Title", "Channel", path, lambda done, total: told.append((done, total)))
    assert told[-1] == (90, 90)
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        assert len(frames) == 90
        assert (frames[0].width, frames[0].height) == (1280, 720)
        assert [index for index, frame in enumerate(frames) if frame.key_frame] == [0, 60]
    with av.open(str(path)) as film:
        seconds = sum(frame.samples for frame in film.decode(audio=0)) / 48_000
    assert abs(seconds - 3.0) < 0.1
