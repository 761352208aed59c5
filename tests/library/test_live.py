"""Streams follow the signals of their inputs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from aethex.library import Library, NotInLibrary, Stream, Vod, channels, inputs, live, new_id
from aethex.library.models import ChannelInput, InputSignal
from aethex.library.spells import fold
from aethex.library.streams import schedule_stream
from tests.library.conftest import START
from tests.library.test_channels import at_once
from tests.library.test_spells import LATER, WINDOW, seconds, signals

Tell = Callable[..., list[Stream | None]]


def at(passed: float) -> datetime:
    return START + timedelta(seconds=passed)


@pytest.fixture
def input_id(library: Library, channel) -> str:
    with library.session() as s:
        return inputs.add_input(s, channel.id, "srs", "live/gdq", reconnect_seconds=60).id


@pytest.fixture
def tell(library: Library, input_id: str) -> Tell:
    """Tells `c0 d100`, in this order of arrival; the streams that each is part of."""

    def told(text: str, now: datetime = START) -> list[Stream | None]:
        streams = []
        for one in signals(text):
            # a key that orders as the time does, so that each call can add to the ones before
            key = f"{one.at:%H%M%S}{one.kind}"
            with library.session() as s:
                streams.append(live.signal(s, input_id, one.kind, one.at, key, now))
        return streams

    return told


def all_streams(library: Library, input_id: str) -> list[tuple[float | None, float | None, str]]:
    """Start, end (seconds) and status of an input's streams."""
    with library.session() as s:
        found = s.scalars(
            select(Stream).where(Stream.input_id == input_id).order_by(Stream.started_at)
        ).all()
    return [
        (
            (one.started_at - START).total_seconds() if one.started_at else None,
            (one.ended_at - START).total_seconds() if one.ended_at else None,
            one.status,
        )
        for one in found
    ]


def add_vod(library: Library, stream: Stream) -> None:
    with library.session() as s:
        s.add(
            Vod(
                id=new_id("vod"),
                stream_id=stream.id,
                channel_id=stream.channel_id,
                title="x",
                status="processing",
            )
        )


def test_a_connect_makes_a_live_stream_with_a_title(library, input_id, tell):
    [stream] = tell("c0")
    assert (stream.status, stream.started_at, stream.input_id) == ("live", START, input_id)
    assert stream.title == "Games Done Quick, 5 January 2020, 16:00"
    with library.session() as s:
        found = live.live_stream(s, input_id)
        assert found is not None
        assert found.id == stream.id


def test_a_title_that_the_source_gives_is_a_new_streams_only(library, input_id):
    with library.session() as s:
        made = live.signal(s, input_id, "connected", START, "1", START, title="Any% races")
        again = live.signal(s, input_id, "connected", at(9), "2", START, title="Other")
    assert made is not None
    assert again is not None
    assert (again.id, again.title) == (made.id, "Any% races")


def test_a_reconnect_within_the_window_continues_the_stream(library, input_id, tell):
    first, _, second = tell("c0 d100 c150")
    assert first.id == second.id
    assert all_streams(library, input_id) == [(0, None, "live")]


def test_a_stream_ends_at_its_disconnect_when_the_window_is_over(library, input_id, tell):
    [stream, _] = tell("c0 d100")
    with library.session() as s:
        assert live.settle(s, input_id, at(160)) == []
    assert all_streams(library, input_id) == [(0, None, "live")]
    with library.session() as s:
        ended = live.settle(s, input_id, at(161))
        assert [(one.id, one.ended_at) for one in ended] == [(stream.id, at(100))]
        assert live.live_stream(s, input_id) is None
    with library.session() as s:
        assert live.settle(s, input_id, at(200)) == []


def test_back_to_back_streams_stay_apart(library, input_id, tell):
    first, _, second = tell("c0 e100 c101")
    assert first.id != second.id
    assert all_streams(library, input_id) == [(0, 100, "ended"), (101, None, "live")]


def test_a_repeated_signal_changes_nothing_and_names_its_stream(library, input_id, tell):
    [stream, _, again] = tell("c0 e100 c0")
    assert again.id == stream.id
    assert all_streams(library, input_id) == [(0, 100, "ended")]


def test_a_disconnect_without_a_connect_waits_for_it(library, input_id, tell):
    assert tell("d100", at(500)) == [None]
    assert all_streams(library, input_id) == []
    tell("c0", at(500))
    assert all_streams(library, input_id) == [(0, 100, "ended")]


def test_a_late_connect_that_moves_the_start_keeps_the_id(library, input_id, tell):
    [made] = tell("c50")
    [late] = tell("c20")
    assert late.id == made.id
    assert all_streams(library, input_id) == [(20, None, "live")]


def test_a_late_reconnect_makes_an_ended_stream_live_again(library, input_id, tell):
    [made, _] = tell("c0 d100")
    with library.session() as s:
        live.settle(s, input_id, at(200))
    [again] = tell("c130", at(201))
    assert (again.id, again.status, again.ended_at) == (made.id, "live", None)


def test_a_late_signal_joins_two_streams_and_the_earlier_stays(library, input_id, tell):
    [first, _, second] = tell("c0 d100 c200")
    assert first.id != second.id
    tell("d150 c140")
    assert all_streams(library, input_id) == [(0, None, "live")]
    with library.session() as s:
        assert s.get(Stream, first.id) is not None
        assert s.get(Stream, second.id) is None
        assert {*s.scalars(select(InputSignal.stream_id))} == {first.id}


def test_of_two_that_are_joined_the_one_with_vods_stays(library, input_id, tell):
    [first, _, second] = tell("c0 d100 c200")
    add_vod(library, second)
    tell("d150 c140")
    assert all_streams(library, input_id) == [(0, None, "live")]
    with library.session() as s:
        assert s.get(Stream, first.id) is None
        assert s.get(Stream, second.id) is not None


def test_two_streams_with_vods_are_never_joined(library, input_id, tell):
    [first, _, second] = tell("c0 d100 c200")
    add_vod(library, first)
    add_vod(library, second)
    tell("d150 c140")
    assert all_streams(library, input_id) == [(0, 150, "ended"), (200, None, "live")]
    tell("d300 c310 c5 d400", at(1000))  # and whatever else comes
    assert all_streams(library, input_id) == [(0, 150, "ended"), (200, 400, "ended")]
    with library.session() as s:
        assert s.get_one(Stream, first.id).ended_at == at(150)


def test_a_late_end_splits_a_stream_whose_first_part_keeps_it(library, input_id, tell):
    [made, _, _] = tell("c0 d100 c120")
    add_vod(library, made)
    tell("e110")
    assert all_streams(library, input_id) == [(0, 100, "ended"), (120, None, "live")]
    with library.session() as s:
        assert s.get_one(Stream, made.id).ended_at == at(100)


def test_the_planned_stream_nearest_in_time_becomes_the_live_one(library, channel, tell):
    hours = {name: timedelta(hours=n) for name, n in {"far": 5, "near": 1, "out": -7}.items()}
    with library.session() as s:
        planned = {
            name: schedule_stream(s, channel, name, START + far) for name, far in hours.items()
        }
        other = channels.ensure_channel(s, "other")
        schedule_stream(s, other, "another channel's", START)
    [stream, _, second, _, third] = tell("c0 e100 c101 e102 c103")
    assert (stream.id, stream.title, stream.status) == (planned["near"].id, "near", "live")
    assert stream.scheduled_at == START + hours["near"]
    assert second.id == planned["far"].id
    assert third.id not in {one.id for one in planned.values()}


def test_a_stream_planned_for_another_input_stays_planned(library, channel, input_id, tell):
    with library.session() as s:
        studio = inputs.add_input(s, channel.id, "srs", "live/studio")
        theirs = schedule_stream(s, channel, "theirs", START, input_id=studio.id)
        ours = schedule_stream(s, channel, "ours", at(3600), input_id=input_id)
    [stream] = tell("c0")
    assert stream.id == ours.id
    with library.session() as s:
        assert s.get_one(Stream, theirs.id).status == "scheduled"


def test_a_planned_stream_that_is_joined_is_scheduled_again(library, channel, tell):
    with library.session() as s:
        schedule_stream(s, channel, "first", START)
    tell("c0 d100")
    with library.session() as s:
        second = schedule_stream(s, channel, "second", at(200))
    tell("c200 d150 c140")
    with library.session() as s:
        again = s.get_one(Stream, second.id)
        assert (again.status, again.started_at, again.scheduled_at) == ("scheduled", None, at(200))


def test_a_stream_that_was_only_imported_is_left_alone(library, channel, input_id, tell):
    with library.session() as s:
        s.add(
            Stream(
                id=new_id("st"),
                channel_id=channel.id,
                title="x",
                status="ended",
                input_id=input_id,
                started_at=at(10),
                ended_at=at(20),
            )
        )
    tell("c0 d30", at(1000))
    assert all_streams(library, input_id) == [(0, 30, "ended"), (10, 20, "ended")]


def test_a_signal_of_no_input_is_refused(library):
    with pytest.raises(NotInLibrary, match="no input inp_x"), library.session() as s:
        live.signal(s, "inp_x", "connected", START, "1", START)


def test_signals_at_once_make_one_stream(library, input_id):
    keys = iter("abcdefgh")
    ids = at_once(
        library, 8, lambda s: live.signal(s, input_id, "connected", START, next(keys), START)
    )
    assert len(set(ids)) == 1
    assert all_streams(library, input_id) == [(0, None, "live")]


def test_a_recordings_stream_is_found_by_time(library, input_id, tell):
    first, _, second = tell("c0 e100 c200")
    slack = timedelta(seconds=30)
    with library.session() as s:
        found = [live.stream_at(s, input_id, at(n), slack) for n in (-31, -30, 50, 131, 171, 900)]
    ids = [one.id if one else None for one in found]
    assert ids == [None, first.id, first.id, None, second.id, second.id]


arrivals = st.lists(
    st.tuples(st.sampled_from("cccdde"), st.integers(0, 30).map(lambda n: n * 20)),
    min_size=1,
    max_size=9,
    unique=True,
).flatmap(
    lambda drawn: st.tuples(
        st.just(drawn),
        st.permutations([*range(len(drawn))] * 2),
        st.sets(st.integers(0, 2 * len(drawn)), max_size=4),
    )
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals)
def test_in_any_order_and_with_repeats_the_streams_are_those_of_the_fold(library, channel, given):
    """Through the database one by one, settling now and then, against the fold of all at once."""
    drawn, order, settled = given
    told = signals(" ".join(f"{kind}{passed}" for kind, passed in drawn))
    with library.session() as s:
        made = inputs.add_input(s, channel.id, "pull", pull_url="rtmp://x", reconnect_seconds=60)
    for n, index in enumerate(order):
        with library.session() as s:
            one = told[index]
            live.signal(s, made.id, one.kind, one.at, one.key, at(n))
            if n in settled:
                live.settle(s, made.id, LATER)
    with library.session() as s:
        live.settle(s, made.id, LATER)
        assert s.get_one(ChannelInput, made.id).settles_at is None
    spells = [seconds(spell) for spell in fold(told, WINDOW, LATER)]
    assert [one[:2] for one in all_streams(library, made.id)] == spells
