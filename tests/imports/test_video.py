"""A video becomes a VOD: whole or not at all, and once."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aethex.imports import VideoReport, import_video
from aethex.library import Library, captions, streams, vods
from aethex.media.errors import MediaError
from aethex.settings import Settings
from aethex.store import Store, StoreFull
from aethex.workers import video as module
from tests.media.captioned import with_subtitles
from tests.media.footage import Recipe, make

STARTS_AT = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("footage") / "short.mp4", Recipe(seconds=5))


def add(settings: Settings, path: Path, **more: object) -> VideoReport:
    return import_video(settings, path, channel="retro", stream="Evening", **more)  # pyright: ignore[reportArgumentType]


def keys(store: Store) -> list[str]:
    return [info.key for info in store.list("vods")]


def test_a_video_is_stored_and_entered_with_its_segments(
    settings: Settings, library: Library, folder_store: Store, short_video: Path
) -> None:
    report = add(settings, short_video, starts_at=STARTS_AT, title="The evening")
    assert report.is_new
    with library.session() as s:
        vod = vods.get_listed(s, report.vod_id)
        assert vod is not None
        (run,) = vods.runs_and_segments(s, report.vod_id)
        stream = streams.get(s, report.stream_id)
    assert (vod.title, vod.width, vod.height) == ("The evening", report.width, report.height)
    assert vod.playlist_key is not None
    assert vod.playlist_key.endswith(f"{report.vod_id}/index.m3u8")
    named = {vod.poster_key, vod.mp4_key, vod.playlist_key, run.run.init_key}
    named |= {segment.key for segment in run.segments}
    named |= {vod.storyboard_key, vod.preview_key, vod.loudness_key}
    named |= {vod.playlist_key.replace("index.m3u8", "storyboard-000.webp")}
    assert set(keys(folder_store)) == named
    assert vod.size_bytes == sum(info.size_bytes for info in folder_store.list("vods"))
    assert sum(segment.duration_ms for segment in run.segments) == vod.duration_ms
    assert stream is not None
    assert (stream.status, stream.started_at) == ("ended", STARTS_AT)
    assert stream.ended_at == STARTS_AT + timedelta(milliseconds=vod.duration_ms or 0)
    assert (run.run.started_at, run.run.start_ms) == (STARTS_AT, 0)
    playlist = folder_store.get(vod.playlist_key).decode()
    assert f"../{run.run.id}/000000.m4s" in playlist
    assert "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T18:30:00.000Z" in playlist


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "mov_text"), ("mkv", "srt")])
def test_its_subtitles_become_captions_beside_it(
    settings: Settings,
    library: Library,
    folder_store: Store,
    short_video: Path,
    tmp_path: Path,
    suffix: str,
    codec: str,
) -> None:
    source = with_subtitles(short_video, tmp_path / f"said.{suffix}", codec, ["eng", "ger"])
    report = add(settings, source, starts_at=STARTS_AT)
    assert report.captions == ("en", "de")
    assert any("in English became captions (2 cues)" in note for note in report.notes)
    with library.session() as s:
        vod = vods.get_listed(s, report.vod_id)
        german, english = captions.of_vod(s, report.vod_id)
    assert vod is not None
    assert vod.size_bytes == sum(info.size_bytes for info in folder_store.list("vods"))
    assert (german.language, german.label, german.kind) == ("de", "Deutsch", "subtitles")
    assert (english.source, english.cues) == ("file", 2)
    assert english.key == str(vod.playlist_key).replace("index.m3u8", "captions-en.vtt")
    assert folder_store.get(english.key) == (
        b"WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello <i>there</i>\n\n"
        b"00:00:03.000 --> 00:00:04.000\nTwo\nlines &amp; more\n"
    )


def test_the_same_video_again_is_the_same_vod(
    settings: Settings, folder_store: Store, short_video: Path, tmp_path: Path
) -> None:
    first = add(settings, short_video, starts_at=STARTS_AT)
    before = keys(folder_store)
    renamed = tmp_path / "another name.mp4"
    renamed.write_bytes(short_video.read_bytes())
    again = add(settings, renamed, starts_at=STARTS_AT + timedelta(hours=1))
    assert (again.vod_id, again.is_new) == (first.vod_id, False)
    assert again.started_at == STARTS_AT
    assert keys(folder_store) == before


def test_a_deleted_vod_is_not_revived_but_imported_anew(
    settings: Settings, library: Library, short_video: Path
) -> None:
    first = add(settings, short_video)
    with library.session() as s:
        vods.mark_deleted(s, first.vod_id, datetime.now(UTC))
    second = add(settings, short_video)
    assert second.is_new
    assert second.vod_id != first.vod_id


def test_two_imports_of_one_video_at_once_make_one_vod(
    settings: Settings, short_video: Path
) -> None:
    ready = threading.Barrier(2)

    def go(_: int) -> VideoReport:
        ready.wait()
        return add(settings, short_video)

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(go, range(2)))
    assert len({report.vod_id for report in reports}) == 1
    assert sorted(report.is_new for report in reports) == [False, True]


def test_without_a_time_a_video_begins_where_its_stream_did(
    settings: Settings, library: Library, short_video: Path
) -> None:
    first = add(settings, short_video)
    assert abs(datetime.now(UTC) - first.started_at) < timedelta(minutes=5)
    with library.session() as s:
        stream = streams.get(s, first.stream_id)
        assert stream is not None
        earlier = first.started_at - timedelta(hours=2)
        streams.set_stream_bounds(s, first.stream_id, earlier, first.started_at)
        vods.mark_deleted(s, first.vod_id, datetime.now(UTC))
    assert add(settings, short_video).started_at == earlier


def test_a_failing_upload_leaves_nothing(
    settings: Settings,
    folder_store: Store,
    short_video: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = Store.put

    def full_at_the_poster(self: Store, key: str, *arguments: object, **more: object) -> object:
        if key.endswith("poster.jpg"):
            raise StoreFull("The disk is full.")
        return put(self, key, *arguments, **more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Store, "put", full_at_the_poster)
    with pytest.raises(StoreFull):
        add(settings, short_video)
    assert keys(folder_store) == []
    assert list((settings.data_dir / "tmp").iterdir()) == []
    monkeypatch.undo()
    assert add(settings, short_video).is_new


def test_a_failing_library_takes_the_uploads_along(
    settings: Settings, folder_store: Store, short_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(module.vods, "add_vod", refuse)
    with pytest.raises(RuntimeError):
        add(settings, short_video)
    assert keys(folder_store) == []


def test_an_import_that_was_killed_shows_no_vod_and_is_completed_by_the_next(
    settings: Settings, library: Library, folder_store: Store, short_video: Path
) -> None:
    code = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from aethex.workers import video\n"
        "from aethex.workers.video import import_video\n"
        "from aethex.settings import Settings\n"
        "video.vods.add_vod = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "data_dir, url = Path(sys.argv[1]), sys.argv[2]\n"
        "settings = Settings(_env_file=None, data_dir=data_dir, database_url=url)\n"
        "import_video(settings, Path(sys.argv[3]), channel='retro', stream='Evening')\n"
    )
    arguments = [settings.data_dir, settings.database_url, short_video]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=False)
    assert done.returncode == -9
    left = keys(folder_store)
    assert left
    stranger = left[0].rpartition("/")[0] + "/999999.m4s"
    folder_store.put(stranger, b"of an older version")
    with library.session() as s:
        assert vods.list_channel_vods(s, _channel_id(library)).total == 0
    report = add(settings, short_video)
    assert report.is_new
    assert stranger not in keys(folder_store)
    assert set(left) <= {*keys(folder_store), stranger}
    assert list((settings.data_dir / "tmp").iterdir()) == []


def test_what_is_no_video_is_refused_in_one_line_and_makes_nothing(
    settings: Settings, folder_store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    with pytest.raises(MediaError) as refused:
        add(settings, path)
    assert "\n" not in str(refused.value)
    assert keys(folder_store) == []


def _channel_id(library: Library) -> str:
    from aethex.library import channels

    with library.session() as s:
        channel = channels.by_username(s, "retro")
        assert channel is not None
        return channel.id
