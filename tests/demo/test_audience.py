"""The demo's audiences are believable, and as described."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from aethex.demo.audience import (
    messages_a_minute,
    viewers_a_minute,
    write_segments,
    write_viewers,
)
from aethex.demo.content import CHANNELS, DemoStream

STREAMS = [stream for channel in CHANNELS for stream in channel.streams]
STARTED_AT = datetime(2026, 1, 31, 18, tzinfo=UTC)
each_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.title)


@each_stream
def test_people_arrive_stay_and_leave(stream: DemoStream) -> None:
    viewers = viewers_a_minute(stream, np.random.default_rng(3))
    assert viewers.size == stream.minutes
    present = viewers[~np.isnan(viewers)]
    assert (present >= 0).all()
    middle = np.nanmedian(viewers[30:-15])
    assert np.nanmean(viewers[:4]) < 0.4 * middle
    assert np.nanmean(viewers[-2:]) < np.nanmean(viewers[-16:-12])
    assert 0.5 * stream.viewers < middle < 2.5 * stream.viewers


@each_stream
def test_an_outage_is_not_measured_and_never_zero(stream: DemoStream) -> None:
    viewers = viewers_a_minute(stream, np.random.default_rng(3))
    for at, length in stream.outages:
        assert np.isnan(viewers[at : at + length]).all()
    assert np.isnan(viewers).mean() < 0.2


@each_stream
def test_a_raid_is_seen(stream: DemoStream) -> None:
    viewers = viewers_a_minute(stream, np.random.default_rng(3))
    for raid in stream.raids:
        others = tuple(other for other in stream.raids if other != raid)
        without = viewers_a_minute(replace(stream, raids=others), np.random.default_rng(3))
        at, size = raid
        after = slice(at + 2, at + 10)
        gained = np.nanmean(viewers[after]) - np.nanmean(without[after])
        assert gained > 0.4 * size


def test_chat_follows_the_audience() -> None:
    stream = next(stream for stream in STREAMS if stream.title == "Cloud Runner: record night")
    viewers = viewers_a_minute(stream, np.random.default_rng(3))
    messages = messages_a_minute(stream, viewers, np.random.default_rng(4))
    is_polled = ~np.isnan(viewers)
    assert np.corrcoef(viewers[is_polled], messages[is_polled])[0, 1] > 0.3
    assert messages[~is_polled].sum() > 0, "chat goes on while the poll fails"


def test_files_are_the_same_every_time_and_cover_the_stream(tmp_path: Path) -> None:
    stream = STREAMS[0]
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    write_viewers(stream, STARTED_AT, one)
    write_viewers(stream, STARTED_AT, two)
    assert one.read_bytes() == two.read_bytes()
    rows = list(csv.DictReader(one.open()))
    assert len(rows) == stream.minutes
    assert datetime.fromisoformat(rows[0]["time"]) == STARTED_AT

    parts = tmp_path / "parts.csv"
    write_segments(stream, STARTED_AT, parts)
    last = list(csv.DictReader(parts.open()))[-1]
    hours, minutes, _ = (int(part) for part in last["duration"].split(":"))
    end = datetime.fromisoformat(last["start_time"]) + timedelta(hours=hours, minutes=minutes)
    assert end == STARTED_AT + timedelta(minutes=stream.minutes)


@each_stream
def test_a_stream_lies_in_the_two_weeks_before_the_first_start(stream: DemoStream) -> None:
    anchor = datetime(2026, 3, 1, tzinfo=UTC)
    started_at = stream.starts_at(anchor)
    assert anchor - timedelta(days=14) <= started_at
    assert started_at + timedelta(minutes=stream.minutes) <= anchor
    assert stream.anchor_of(started_at) == anchor
    if stream.film is not None:
        assert stream.film.minutes_in + stream.film.seconds / 60 <= stream.minutes
