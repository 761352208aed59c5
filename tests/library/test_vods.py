"""VODs, their runs and media segments."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, text

from aethex.library import (
    InvalidValue,
    NotInLibrary,
    Vod,
    VodRun,
    VodSegment,
    listings,
    new_id,
    retention,
    vods,
)
from aethex.library.channels import ensure_channel
from aethex.library.streams import ensure_stream
from tests.library.conftest import START


def add(library, parts) -> Vod:
    with library.session() as s:
        return vods.add_vod(s, *parts)


def test_a_vod_is_stored_with_its_runs_and_segments_in_order(library, stream, vod_parts):
    new, runs, segments = vod_parts()
    made = add(library, (new, runs, list(segments)))
    assert (made.id, made.status, made.channel_id) == (new.id, "ready", stream.channel_id)
    with library.session() as s:
        stored = vods.runs_and_segments(s, made.id)
        spans = listings.run_spans(s, made.id)
    assert [part.run.id for part in stored] == [run.id for run in runs]
    assert [part.run.start_ms for part in stored] == [0, 600_000]
    assert [row.key for part in stored for row in part.segments] == [row.key for row in segments]
    assert [(span.run_id, span.duration_ms) for span in spans] == [(run.id, 12_000) for run in runs]


def test_what_was_made_from_a_vod_is_entered_with_its_bytes_and_replaced_the_next_time(
    library, vod_parts
):
    made = add(library, vod_parts())
    keys = ("a/storyboard.vtt", "a/preview.webp", "a/loudness.json")
    with library.session() as s:
        vods.set_derived(s, made.id, vods.DerivedObjects(*keys, derived_bytes=500))
    later = vods.DerivedObjects(*keys, 700, poster_key="a/p.jpg", mp4_key="a/v.mp4", mp4_bytes=40)
    for _ in range(2):
        with library.session() as s:
            vod = vods.set_derived(s, made.id, later)
    grown = (vod.size_bytes or 0) - (made.size_bytes or 0) + (made.mp4_bytes or 0)
    assert (grown, vod.derived_bytes, vod.mp4_bytes) == (740, 700, 40)
    assert (vod.storyboard_key, vod.preview_key, vod.loudness_key) == keys
    assert (vod.poster_key, vod.mp4_key) == ("a/p.jpg", "a/v.mp4")
    with library.session() as s, pytest.raises(NotInLibrary, match="check the id"):
        vods.set_derived(s, "vod_none", later)


def test_a_vod_that_fails_half_way_leaves_nothing(library, vod_parts):
    new, runs, segments = vod_parts()
    broken = [*segments[:-1], replace(segments[-1], sha256="not a hash")]
    with pytest.raises(Exception, match="sha256_form"):
        add(library, (new, runs, broken))
    with library.session() as s:
        for table in (Vod, VodRun, VodSegment):
            assert s.scalar(select(func.count()).select_from(table)) == 0


def change_segment(index, **values):
    def change(_new, runs, segments):
        changed = [*segments]
        changed[index] = replace(changed[index], **values)
        return runs, changed

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _n, _runs, segments: ([], segments), "one run or more"),
        (lambda _n, runs, segments: ([runs[0], runs[0]], segments), "an id of its own"),
        (lambda _n, runs, segments: (runs[:1], segments), "not of the VOD's"),
        (lambda _n, runs, segments: (runs, segments[:3]), "numbered 0, 1, 2"),
        (change_segment(1, sequence=5), "numbered 0, 1, 2"),
        (change_segment(2, start_ms=10), "starts before"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(library, vod_parts, change, words):
    new, runs, segments = vod_parts()
    with pytest.raises(InvalidValue, match=words):
        add(library, (new, *change(new, runs, segments)))


def test_a_vod_of_an_unknown_stream_is_refused(library, vod_parts):
    with pytest.raises(NotInLibrary, match="st_nothing"):
        add(library, vod_parts(stream_id="st_nothing"))


def test_what_somebody_else_did_meanwhile_is_seen_by_who_looked_before(library, vod_parts):
    made = add(library, vod_parts())
    with library.session() as s:
        vods.get(s, made.id)
        with library.session() as other:
            vods.mark_deleted(other, made.id, START)
        assert vods.mark_deleted(s, made.id, START + timedelta(1)).deleted_at == START
    with library.session() as s:
        vods.get(s, made.id)
        with library.session() as other:
            assert retention.begin_purge(other, made.id, START, START + timedelta(30))
        with pytest.raises(InvalidValue, match="can no more be restored"):
            vods.restore(s, made.id, START + timedelta(30))


def test_only_vods_that_everybody_may_see_are_listed_the_newest_first(library, stream, vod_parts):
    names = ["one", "two", "three", "private", "deleted"]
    made = {
        name: add(library, vod_parts(name, created_at=START + timedelta(days=day)))
        for day, name in enumerate(names)
    }
    with library.session() as s:
        vods.set_public(s, made["private"].id, is_public=False)
        first = vods.mark_deleted(s, made["deleted"].id, START).deleted_at
        assert vods.mark_deleted(s, made["deleted"].id, START + timedelta(1)).deleted_at == first
        s.add(
            Vod(
                id=new_id("vod"),
                stream_id=stream.id,
                channel_id=stream.channel_id,
                title="unfinished",
                status="processing",
            )
        )
    with library.session() as s:
        found, total = vods.list_channel_vods(s, stream.channel_id, page=1, per_page=2)
        rest, _ = vods.list_channel_vods(s, stream.channel_id, page=2, per_page=2)
        other = ensure_channel(s, "other")
        assert vods.list_channel_vods(s, other.id) == ([], 0)
        assert [vod.title for vod in vods.list_stream_vods(s, stream.id)] == names[2::-1]
        assert [vod.title for vod in listings.newest_vods(s, 2)] == ["three", "two"]
        assert listings.count_vods(s, [stream.channel_id, other.id]) == {stream.channel_id: 3}
        for name in names:
            listed = vods.get_listed(s, made[name].id)
            assert (listed is not None) == (name in names[:3])
            assert vods.get(s, made[name].id) is not None
    assert [vod.title for vod in [*found, *rest]] == ["three", "two", "one"]
    assert total == 3


def test_a_private_vod_can_be_shown_again(library, vod_parts):
    made = add(library, vod_parts(is_public=False))
    with library.session() as s:
        assert vods.get_listed(s, made.id) is None
        vods.set_public(s, made.id, is_public=True)
    with library.session() as s:
        assert vods.get_listed(s, made.id) is not None


def test_what_media_requests_ask_names_every_run(library, vod_parts):
    new, runs, segments = vod_parts(is_public=False)
    add(library, (new, runs, segments))
    with library.session() as s:
        access = vods.media_access(s, new.id)
        assert access is not None
        assert access.run_ids == {run.id for run in runs}
        assert (access.is_public, access.deleted_at, access.title) == (False, None, "Day one")
        assert vods.media_access(s, "vod_nothing") is None


def test_changing_an_unknown_vod_is_refused(library):
    with pytest.raises(NotInLibrary), library.session() as s:
        vods.set_public(s, "vod_nothing", is_public=True)


@pytest.fixture
def ten_thousand(library, stream) -> tuple[str, str]:
    """Ids of a channel of 10,000 VODs, a tenth of them private, and of one of a few older ones."""
    with library.session() as s:
        small = ensure_stream(s, ensure_channel(s, "small"), "A stream")
    counts = [(stream, START, 10_000), (small, START - timedelta(days=9), 30)]
    rows = [
        {
            "id": new_id("vod"),
            "stream_id": of_stream.id,
            "channel_id": of_stream.channel_id,
            "title": f"VOD {n}",
            "status": "ready",
            "duration_ms": 1000,
            "size_bytes": 1000,
            "playlist_key": "x",
            "is_public": n % 10 > 0,
            "created_at": since + timedelta(minutes=n),
        }
        for of_stream, since, count in counts
        for n in range(count)
    ]
    with library.session() as s:
        s.execute(insert(Vod), rows)
    with library.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze vods"))
    return stream.channel_id, small.channel_id


def test_a_page_among_10_000_vods_is_right(library, ten_thousand):
    large, small = ten_thousand
    with library.session() as s:
        found, total = vods.list_channel_vods(s, large, page=1, per_page=24)
        assert total == 9_000
        assert [vod.title for vod in found[:3]] == ["VOD 9999", "VOD 9998", "VOD 9997"]
        assert vods.list_channel_vods(s, large, 376, 24).items == []
        assert vods.list_channel_vods(s, small).total == 27


def test_a_page_among_10_000_vods_reads_only_its_own_rows(library, ten_thousand):
    large, small = ten_thousand
    with library.session() as s:
        page = _plan(s, vods.newest_first(large).limit(24))
        few = _plan(s, vods.newest_first(small).limit(24))
        newest = _plan(s, listings.newest_first().limit(24))
    assert few["Index Name"] == "ix_vods_listed"
    assert newest["Index Name"] == "ix_vods_newest"
    for step in (page, few, newest):
        assert step["Actual Rows"] == 24
        assert step.get("Rows Removed by Filter", 0) == 0


def _plan(s, query) -> dict:
    """The innermost step of how Postgres ran the query."""
    compiled = query.compile(s.get_bind(), compile_kwargs={"literal_binds": True})
    row = s.execute(text("explain (analyze, format json) " + str(compiled).replace(":", r"\:")))
    step = row.scalar_one()[0]["Plan"]
    while "Plans" in step:
        step = step["Plans"][0]
    return step
