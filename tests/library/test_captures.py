"""What the recorder adds to the library, in any order and more than once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from aethex.library import (
    Library,
    NewRun,
    NewVodSegment,
    NotInLibrary,
    Stream,
    Vod,
    captures,
    channels,
    inputs,
    jobs,
    listings,
    live,
    new_id,
    retention,
    vods,
)
from aethex.library.captures import Finished, Picture
from tests.library.conftest import SHA256, START

PICTURE = Picture(640, 360, 30, True)


def a_run(after: timedelta = timedelta(0)) -> NewRun:
    return NewRun(new_id("run"), START + after, 0, 0, "vods/x/init.mp4", 800, SHA256)


def a_segment(run: NewRun, sequence: int) -> NewVodSegment:
    key = f"vods/x/{run.id}/{sequence:06}.m4s"
    return NewVodSegment(run.id, sequence, key, sequence * 4000, 4000, 1000, SHA256)


def finished(is_test: bool = False) -> Finished:
    return Finished(8000, 3000, "vods/x/index.m3u8", None, 0, is_test)


def add(library: Library, stream: Stream, run: NewRun, sequence: int, picture=PICTURE) -> str:
    with library.session() as s:
        return captures.add_segment(s, stream.id, run, a_segment(run, sequence), picture)


def test_the_first_segment_makes_a_vod_that_nobody_sees_yet(library: Library, stream: Stream):
    vod_id = add(library, stream, a_run(), 0)
    with library.session() as s:
        vod = vods.get(s, vod_id)
        assert vod is not None
        assert (vod.status, vod.title, vod.width) == ("processing", stream.title, 640)
        assert vods.get_listed(s, vod_id) is None


def test_a_segment_that_comes_again_changes_nothing(library: Library, stream: Stream):
    run = a_run()
    for sequence in (0, 1, 1, 0):
        vod_id = add(library, stream, run, sequence)
    with library.session() as s:
        (found,) = vods.runs_and_segments(s, vod_id)
    assert [one.sequence for one in found.segments] == [0, 1]


def test_first_segments_at_once_are_of_one_vod(library: Library, stream: Stream):
    with ThreadPoolExecutor(8) as threads:
        found = {*threads.map(lambda n: add(library, stream, a_run(timedelta(n)), 0), range(8))}
    assert len(found) == 1
    with library.session() as s:
        runs = vods.runs_and_segments(s, found.pop())
    assert sorted(run.run.position for run in runs) == [*range(8)]


def test_runs_play_in_the_order_in_which_they_were_recorded(library: Library, stream: Stream):
    """The recorder of the second one was away with its disk when the third one came."""
    first, second, third = (a_run(timedelta(minutes=n)) for n in range(3))
    for run in (first, third, second):
        vod_id = add(library, stream, run, 0)
    with library.session() as s:
        runs = [one.run.id for one in vods.runs_and_segments(s, vod_id)]
        spans = [one.run_id for one in listings.run_spans(s, vod_id)]
    assert runs == spans == [first.id, second.id, third.id]


def test_sound_that_comes_late_is_told(library: Library, stream: Stream):
    silent = Picture(640, 360, 30, False)
    vod_id = add(library, stream, a_run(), 0, silent)
    with library.session() as s:
        assert s.get_one(Vod, vod_id).audio_codec is None
    add(library, stream, a_run(timedelta(minutes=1)), 0)
    with library.session() as s:
        assert s.get_one(Vod, vod_id).audio_codec == "aac"


def test_only_what_the_playlist_holds_is_published(library: Library, stream: Stream):
    run = a_run(timedelta(seconds=3))
    vod_id = add(library, stream, run, 0)
    with library.session() as s:
        assert [one.vod_id for one in captures.to_finish(s)] == [vod_id]
    add(library, stream, run, 1)
    with library.session() as s:
        assert not captures.publish(s, vod_id, finished(), 1, START)
        assert not captures.finish(s, vod_id, 1, START)
    with library.session() as s:
        assert captures.publish(s, vod_id, finished(), 2, START)
        assert captures.finish(s, vod_id, 2, START)
    with library.session() as s:
        assert vods.get_listed(s, vod_id) is not None
        assert captures.to_finish(s) == []
        assert vods.runs_and_segments(s, vod_id)[0].run.start_ms == 3000


def test_a_segment_that_comes_after_the_end_opens_the_vod_again(library: Library, stream: Stream):
    run = a_run()
    vod_id = add(library, stream, run, 0)
    with library.session() as s:
        captures.publish(s, vod_id, finished(), 1, START)
        captures.finish(s, vod_id, 1, START)
    add(library, stream, run, 1)
    with library.session() as s:
        assert vods.get_listed(s, vod_id) is not None  # what plays goes on playing
        assert [one.vod_id for one in captures.to_finish(s)] == [vod_id]


def test_a_test_recording_is_hidden_for_clean_up_until_more_of_it_comes(
    library: Library, stream: Stream
):
    run = a_run()
    vod_id = add(library, stream, run, 0)
    with library.session() as s:
        captures.publish(s, vod_id, finished(is_test=True), 1, START)
    with library.session() as s:
        assert vods.get_listed(s, vod_id) is None
        (due,) = retention.due_for_purge(s, START + timedelta(days=2), 10)
        assert (due.vod_id, due.reason) == (vod_id, "test")
        captures.publish(s, vod_id, finished(), 1, START)
    with library.session() as s:
        assert vods.get_listed(s, vod_id) is not None


def test_a_test_that_its_owner_wants_back_is_a_vod_like_any_other(library: Library, stream: Stream):
    """Storyboard, preview and MP4 were not made of it, and it is not hidden again."""
    run = a_run()
    vod_id = add(library, stream, run, 0)
    with library.session() as s:
        captures.publish(s, vod_id, finished(is_test=True), 1, START)
    with library.session() as s:
        vods.restore(s, vod_id, START)
        assert jobs.open_job(s, vods.DERIVE_KIND, vod_id) is not None
    add(library, stream, run, 1)
    with library.session() as s:
        captures.publish(s, vod_id, finished(is_test=True), 2, START)
    with library.session() as s:
        assert vods.get_listed(s, vod_id) is not None


def test_there_is_nothing_to_capture_of_no_stream(library: Library):
    run = a_run()
    with library.session() as s, pytest.raises(NotInLibrary):
        captures.add_segment(s, "st_x", run, a_segment(run, 0), PICTURE)
    with library.session() as s, pytest.raises(NotInLibrary):
        captures.note_break(s, "st_x", START, "network")


def test_what_is_pulled(library: Library):
    """Inputs that are only pulled, always; others while they are live; not what its provider
    records.
    """
    url = "rtmp://media.example.com/live/x"
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq").id
        only = inputs.add_input(s, channel, "pull", pull_url=url)
        told = inputs.add_input(s, channel, "owncast", "owncast-1", pull_url=url)
        theirs = inputs.add_input(
            s, channel, "mux", "mux-1", pull_url=url, is_recorded_by_provider=True
        )
        inputs.add_input(s, channel, "owncast", "owncast-2", pull_url=url)
        for n, one in enumerate((told, theirs)):
            live.signal(s, one.id, "connected", START, f"key {n}", START)
    with library.session() as s:
        found = {one.input_id: one.stream_id for one in captures.pulls(s)}
        stream = s.scalars(select(Stream).where(Stream.input_id == told.id)).one()
    assert found == {only.id: None, told.id: stream.id}
