"""Cached reads of a build: everything the pages show comes through here.

What belongs here: which build is current, one DuckDB connection a build, and the questions of
`aethex.lake.analytics` behind `st.cache_data`. What does not: what an answer means, or how it is
drawn.

A build is immutable, so every cached function takes the build's id (and the channel's id, so that
one channel's answer can never serve another's page) and its answers never expire; a new build is a
new id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import streamlit as st

from aethex.dashboards.gaps import Gap, gaps_between
from aethex.lake import analytics, players
from aethex.lake.build_records import Build, current_build
from aethex.lake.connections import open_build
from aethex.settings import Settings, get_settings
from aethex.store import Store, open_store

MAX_POINTS = 1000
_EVERY_SAMPLE = 10_000_000
_BUILD_CHECK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """The build that a page shows. data_until: all that was received until then is in it."""

    build_id: str
    created_at: datetime
    data_until: datetime | None


def shown_build() -> Shown | None:
    """The current build, looked up at most every few seconds; None before the first one.

    Raises StoreError when the store does not answer.
    """
    build = _current_build(get_settings().effective_store_url)
    return None if build is None else Shown(build.id, build.created_at, build.fresh_until)


@st.cache_resource(show_spinner=False, max_entries=4)
def _store(store_url: str) -> Store:
    return open_store(get_settings())


@st.cache_data(show_spinner=False, ttl=_BUILD_CHECK_SECONDS, max_entries=4)
def _current_build(store_url: str) -> Build | None:
    return current_build(_store(store_url))


@st.cache_resource(show_spinner="Opening the newest numbers …", max_entries=2)
def _connection(store_url: str, build_id: str) -> duckdb.DuckDBPyConnection:
    """Views over the build's locally cached files."""
    settings: Settings = get_settings()
    build = _current_build(store_url)
    return open_build(
        _store(store_url), settings, build if build and build.id == build_id else build_id
    )


def connection(build_id: str) -> duckdb.DuckDBPyConnection:
    """The build's shared connection; every question opens a cursor of its own."""
    return _connection(get_settings().effective_store_url, build_id)


@st.cache_data(show_spinner=False, max_entries=8)
def channels(build_id: str) -> list[analytics.ChannelListItem]:
    """Every channel, those with the newest stream first."""
    items = analytics.channel_list(connection(build_id))
    return sorted(
        items, key=lambda item: (item.last_stream_at is not None, item.last_stream_at), reverse=True
    )


def channel(channel_id: str, build_id: str) -> analytics.ChannelListItem:
    """One channel. Raises NotInBuild."""
    for item in channels(build_id):
        if item.channel_id == channel_id:
            return item
    raise analytics.NotInBuild("channel", channel_id)


@st.cache_data(show_spinner=False, max_entries=256)
def channel_summary(
    channel_id: str, build_id: str, from_at: datetime | None, to_at: datetime | None
) -> analytics.ChannelSummary:
    """The channel's numbers over a range."""
    return analytics.channel_summary(connection(build_id), channel_id, from_at, to_at)


@st.cache_data(show_spinner=False, max_entries=256)
def channel_days(
    channel_id: str, build_id: str, from_at: datetime | None, to_at: datetime | None
) -> list[analytics.ChannelDay]:
    """The channel's days that had a stream live."""
    return analytics.channel_days(connection(build_id), channel_id, from_at, to_at)


@st.cache_data(show_spinner=False, max_entries=256)
def channel_streams(
    channel_id: str, build_id: str, from_at: datetime | None, to_at: datetime | None
) -> list[analytics.StreamSummary]:
    """The channel's streams that were live in a range, newest first."""
    return analytics.streams_of_channel(
        connection(build_id), channel_id, from_at=from_at, to_at=to_at
    )


@st.cache_data(show_spinner=False, max_entries=256)
def stream(stream_id: str, build_id: str) -> analytics.StreamSummary:
    """One stream. Raises NotInBuild."""
    return analytics.stream_summary(connection(build_id), stream_id)


@st.cache_data(show_spinner=False, max_entries=256)
def stream_players(channel_id: str, stream_id: str, build_id: str) -> players.StreamPlayers | None:
    """What players told of the stream; None where nothing was told."""
    return players.stream_players(connection(build_id), stream_id)


@st.cache_data(show_spinner=False, max_entries=256)
def segments(channel_id: str, stream_id: str, build_id: str) -> list[analytics.SegmentSummary]:
    """The stream's segments in order."""
    return analytics.stream_segments(connection(build_id), stream_id)


@st.cache_data(show_spinner=False, max_entries=256)
def viewers(
    channel_id: str,
    stream_id: str,
    build_id: str,
    from_at: datetime | None,
    to_at: datetime | None,
) -> analytics.ViewersChart:
    """The stream's chart in at most MAX_POINTS points, peaks kept."""
    return analytics.viewers_chart(connection(build_id), stream_id, from_at, to_at, MAX_POINTS)


@st.cache_data(show_spinner=False, max_entries=16)
def samples(
    channel_id: str,
    stream_id: str,
    build_id: str,
    from_at: datetime | None,
    to_at: datetime | None,
) -> list[analytics.ChartPoint]:
    """Every sample of the range, for CSV."""
    return analytics.viewers_chart(
        connection(build_id), stream_id, from_at, to_at, _EVERY_SAMPLE
    ).points


@st.cache_data(show_spinner=False, max_entries=256)
def gaps(channel_id: str, stream_id: str, build_id: str) -> list[Gap]:
    """Where nothing was measured for longer than a sample holds, in time order."""
    chart = analytics.viewers_chart(connection(build_id), stream_id, max_points=_EVERY_SAMPLE)
    measured = [point.at for point in chart.points if point.viewers is not None]
    return gaps_between(chart.from_at, chart.to_at, measured)
