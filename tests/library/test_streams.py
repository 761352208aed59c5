"""Queries about streams."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aethex.library import InvalidValue, LibraryError, NotInLibrary, Stream, new_id, streams
from aethex.library.channels import ensure_channel
from tests.library.conftest import START
from tests.library.test_channels import at_once

HOUR = timedelta(hours=1)


def test_a_stream_is_made_as_scheduled_and_found_again_by_its_title(library, channel):
    with library.session() as s:
        made = streams.ensure_stream(s, channel, "  AGDQ 2020 ")
    assert (made.title, made.status, made.started_at) == ("AGDQ 2020", "scheduled", None)
    with library.session() as s:
        assert streams.ensure_stream(s, channel, "AGDQ 2020").id == made.id
        other = ensure_channel(s, "other")
        assert streams.ensure_stream(s, other, "AGDQ 2020").id != made.id


@pytest.mark.parametrize("round_", range(3))
def test_imports_at_once_make_one_stream(library, channel, round_):
    ids = at_once(library, 8, lambda s: streams.ensure_stream(s, channel, f"AGDQ {round_}"))
    assert len(set(ids)) == 1


def test_a_title_that_a_channel_used_twice_needs_an_id(library, channel):
    with library.session() as s:
        twins = [
            Stream(id=new_id("st"), channel_id=channel.id, title="Monday", status="scheduled")
            for _ in range(2)
        ]
        s.add_all(twins)
    with pytest.raises(LibraryError) as caught, library.session() as s:
        streams.ensure_stream(s, channel, "Monday")
    assert all(twin.id in str(caught.value) for twin in twins)
    with library.session() as s:
        assert streams.ensure_stream(s, channel, twins[1].id).id == twins[1].id


def test_an_id_of_another_channel_or_of_nothing_is_refused(library, stream):
    with library.session() as s:
        other = ensure_channel(s, "other")
    for stream_id in (stream.id, new_id("st")):
        with pytest.raises(NotInLibrary, match="other has no stream"), library.session() as s:
            streams.ensure_stream(s, other, stream_id)


def test_a_scheduled_stream_with_bounds_has_ended(stream):
    assert stream.status == "ended"
    assert stream.started_at == START
    assert stream.ended_at == START + 6 * HOUR


def test_bounds_of_a_live_stream_leave_its_end_open(library, channel):
    with library.session() as s:
        live = Stream(
            id=new_id("st"), channel_id=channel.id, title="x", status="live", started_at=START
        )
        s.add(live)
        s.flush()
        widened = streams.set_stream_bounds(s, live.id, START - HOUR, START + HOUR)
        assert (widened.status, widened.started_at) == ("live", START - HOUR)
        assert widened.ended_at is None


moments = st.integers(-48, 48).map(lambda hours: START + hours * HOUR)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(moments, moments).map(sorted), min_size=1, max_size=5))
def test_bounds_only_widen_and_in_any_order_end_as_the_widest(library, channel, bounds):
    with library.session() as s:
        stream_id = streams.ensure_stream(s, channel, new_id("st").replace("st_", "title ")).id
        for first, last in bounds:
            stream = streams.set_stream_bounds(s, stream_id, first, last)
            assert stream.started_at is not None
            assert stream.ended_at is not None
            assert stream.started_at <= first <= last <= stream.ended_at
    assert stream.started_at == min(first for first, _ in bounds)
    assert stream.ended_at == max(last for _, last in bounds)


def test_bounds_that_end_before_they_start_are_refused(library, stream):
    with pytest.raises(InvalidValue, match="before it starts"), library.session() as s:
        streams.set_stream_bounds(s, stream.id, START, START - HOUR)


def test_bounds_of_an_unknown_stream_are_refused(library):
    with pytest.raises(NotInLibrary, match="st_nothing"), library.session() as s:
        streams.set_stream_bounds(s, "st_nothing", START, START)


def test_a_channels_streams_are_listed_the_latest_first(library, channel, stream):
    with library.session() as s:
        later = streams.ensure_stream(s, channel, "SGDQ 2020")
        streams.set_stream_bounds(
            s, later.id, datetime(2020, 8, 16, tzinfo=UTC), START + 9e3 * HOUR
        )
        planned = streams.ensure_stream(s, channel, "AGDQ 2021")
        found, total = streams.list_channel_streams(s, channel.id)
    assert [row.id for row in found] == [planned.id, later.id, stream.id]
    assert total == 3
    with library.session() as s:
        assert streams.by_ids(s, [stream.id, "st_nothing"]).keys() == {stream.id}
