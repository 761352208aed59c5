"""What the tables refuse, whoever writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, text
from sqlalchemy.exc import IntegrityError, StatementError

from aethex.library import Category, Channel, Library, Stream, StreamSegment, new_id
from aethex.library.models import Vod
from aethex.library.vods import add_vod
from tests.library.conftest import START


def refuses(library: Library, row: object, name: str) -> None:
    with pytest.raises(IntegrityError, match=name), library.session() as s:
        s.add(row)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "paused"}, "status_known"),
        ({"status": "live"}, "live_is_open"),
        ({"status": "ended"}, "ended_has_end"),
        ({"status": "scheduled", "ended_at": START}, "end_has_start"),
        (
            {"status": "ended", "started_at": START, "ended_at": START - timedelta(seconds=1)},
            "ends_after_start",
        ),
        ({"status": "live", "started_at": START, "ended_at": START}, "live_is_open"),
    ],
)
def test_a_stream_whose_status_and_times_disagree(library, channel, values, constraint):
    row = Stream(id=new_id("st"), channel_id=channel.id, title="x", **values)
    refuses(library, row, constraint)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "done"}, "status_known"),
        ({"status": "ready"}, "ready_is_playable"),
        ({"duration_ms": -1}, "duration_counts"),
        ({"size_bytes": -1}, "size_counts"),
        ({"width": 0, "height": 1080}, "picture_has_area"),
        ({"frame_rate": 0.0}, "frames_move"),
    ],
)
def test_a_vod_with_impossible_values(library, stream, values, constraint):
    given = {"status": "processing", "title": "x"} | values
    row = Vod(id=new_id("vod"), stream_id=stream.id, channel_id=stream.channel_id, **given)
    refuses(library, row, constraint)


def test_a_vod_on_a_stream_of_another_channel(library, stream):
    with library.session() as s:
        other = Channel(id=new_id("ch"), username="other", title="Other")
        s.add(other)
    row = Vod(
        id=new_id("vod"),
        stream_id=stream.id,
        channel_id=other.id,
        title="x",
        status="processing",
    )
    refuses(library, row, "fk_vods_stream_id_channel_id")


@pytest.mark.parametrize("username", ["GDQ", "a", "a b", "-x"])
def test_a_channel_whose_username_is_none(library, username):
    refuses(library, Channel(id=new_id("ch"), username=username, title="x"), "username_form")


def test_deleting_a_channel_or_stream_that_has_objects_in_the_store(library, stream, vod_parts):
    with library.session() as s:
        add_vod(s, *vod_parts())
    for table, id_ in ((Stream, stream.id), (Channel, stream.channel_id)):
        with pytest.raises(IntegrityError), library.session() as s:
            s.execute(delete(table).where(table.id == id_))


def test_deleting_a_category_leaves_its_streams_without_one(library, stream):
    with library.session() as s:
        category = Category(id=new_id("cat"), name="Celeste")
        s.add(category)
        s.flush()
        s.merge(stream).category_id = category.id
    with library.session() as s:
        s.execute(delete(Category))
    with library.session() as s:
        found = s.get(Stream, stream.id)
        assert found is not None
        assert found.category_id is None


def test_a_time_without_a_zone_is_refused_before_it_reaches_the_database(library, stream):
    naive = datetime(2020, 1, 5)  # noqa: DTZ001
    with pytest.raises(StatementError, match="no time zone"), library.session() as s:
        s.add(
            StreamSegment(
                id=new_id("sseg"), stream_id=stream.id, position=0, title="x", started_at=naive
            )
        )


def test_times_come_back_in_utc_whatever_the_zone_of_the_server(library, stream):
    with library.session() as s:
        s.execute(text("set local timezone to 'America/New_York'"))
        found = s.get(Stream, stream.id)
        assert found is not None
        assert found.started_at == START
        assert found.started_at.tzinfo is UTC


def test_a_segment_of_more_than_two_gigabytes_is_kept_exactly(library, vod_parts):
    new, runs, segments = vod_parts()
    with library.session() as s:
        assert add_vod(s, new, runs, segments).size_bytes == 18_000_001_600
    with library.session() as s:
        assert s.scalar(text("select sum(bytes) from vod_segments")) == 18_000_000_000
