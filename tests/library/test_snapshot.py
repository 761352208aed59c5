"""The library as rows of the lake's dim tables."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from aethex.lake.dim_tables import DIM_TABLES
from aethex.library import Channel, NewSegment, Stream, new_id, snapshot_rows, streams, users
from aethex.library.models import Vod
from aethex.library.segments import replace_segments
from aethex.library.vods import add_vod, mark_deleted
from tests.library.conftest import START

VALIDITY = {"valid_from", "valid_to"}


def test_an_empty_library_gives_every_table_without_rows(library):
    with library.session() as s:
        assert snapshot_rows(s) == {name: [] for name in DIM_TABLES}


def test_rows_have_exactly_the_columns_of_the_lakes_tables(library, stream, vod_parts):
    with library.session() as s:
        add_vod(s, *vod_parts())
        replace_segments(s, stream.id, [NewSegment("Celeste", START, START, "Celeste")])
        s.get_one(Channel, stream.channel_id).owner_id = users.ensure_user(s, "mika").id
    with library.session() as s:
        rows = snapshot_rows(s)
    for name, table in DIM_TABLES.items():
        assert rows[name], name
        wanted = {column.name for column in table.columns} - VALIDITY
        assert all(set(row) == wanted for row in rows[name]), name
        required = {column.name for column in table.columns if column.required} - VALIDITY
        assert all(row[column] is not None for row in rows[name] for column in required), name


def test_times_are_naive_utc_and_a_streams_day_is_the_utc_day_of_its_start(library, stream):
    with library.session() as s:
        replace_segments(
            s, stream.id, [NewSegment("Celeste", START + timedelta(hours=9), START + timedelta(1))]
        )
    with library.session() as s:
        rows = snapshot_rows(s)
    (row,) = rows["dim_streams"]
    assert row["started_at"] == datetime(2020, 1, 5, 16)  # noqa: DTZ001
    assert row["stream_day"] == date(2020, 1, 5)
    (segment,) = rows["dim_stream_segments"]
    # Began on the 6th, but belongs to the day of its stream.
    assert segment["started_at"] == datetime(2020, 1, 6, 1)  # noqa: DTZ001
    assert segment["stream_day"] == date(2020, 1, 5)
    assert segment["category_name"] is None


def test_a_stream_that_has_not_started_has_no_day(library, channel):
    with library.session() as s:
        streams.ensure_stream(s, channel, "AGDQ 2031")
        (row,) = snapshot_rows(s)["dim_streams"]
    assert (row["status"], row["started_at"], row["stream_day"]) == ("scheduled", None, None)


def test_what_is_unfinished_is_left_out_and_what_is_deleted_stays(library, channel, vod_parts):
    new, runs, segments = vod_parts()
    with library.session() as s:
        add_vod(s, new, runs, segments)
        mark_deleted(s, new.id, START)
        live = Stream(
            id=new_id("st"), channel_id=channel.id, title="x", status="live", started_at=START
        )
        s.add(live)
        s.flush()
        replace_segments(s, live.id, [NewSegment("Celeste", START, None)])
        s.add(
            Vod(
                id=new_id("vod"),
                stream_id=live.id,
                channel_id=channel.id,
                title="x",
                status="processing",
            )
        )
    with library.session() as s:
        rows = snapshot_rows(s)
    assert rows["dim_stream_segments"] == []
    assert [row["vod_id"] for row in rows["dim_vods"]] == [new.id]
    assert rows["dim_vods"][0]["deleted_at"] is not None
