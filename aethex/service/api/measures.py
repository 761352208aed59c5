"""Shapes of the answers made of numbers: streams, segments, channels and charts.

What belongs here: pydantic models with units, and making them from `aethex.lake.analytics` answers.
What does not: computing anything.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from aethex.lake.analytics import (
    Audience,
    ChannelDay,
    ChannelSummary,
    SegmentSummary,
    StreamSummary,
    ViewersChart,
)
from aethex.lake.players import StreamPlayers
from aethex.service.api.players import PlayersOut, players_out
from aethex.service.api.schemas import UtcTime
from aethex.service.marts import OpenBuild

_MEASURES_EXAMPLE: dict[str, Any] = {
    "live_seconds": 614520.0,
    "covered_seconds": 586140.0,
    "viewer_seconds": 69412345678.0,
    "average_viewers": 118422.8,
    "coverage_ratio": 0.954,
    "peak_viewers": 237523,
    "peak_at": "2020-01-12T02:41:00Z",
    "messages": 863623,
    "samples": 10242,
    "null_samples": 473,
}
_BUILD_EXAMPLE = {"build": "b_01JH2V5Q8ZK3M4N5P6Q7R8S9TD", "fresh_until": "2020-01-12T07:06:00Z"}
_STREAM_ID = "st_01JH2V5Q8ZK3M4N5P6Q7R8S9TB"
_CHANNEL_ID = "ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC"
_SEGMENT_EXAMPLE = {
    "segment_id": "sseg_01JH2V5Q8ZK3M4N5P6Q7R8S9TE",
    "position": 0,
    "title": "Pre-show",
    "category_id": None,
    "category_name": None,
    "started_at": "2020-01-05T16:25:00Z",
    "ended_at": "2020-01-05T17:00:00Z",
    **_MEASURES_EXAMPLE,
}


BuildId = Annotated[str, Field(description="Id of the build that the numbers are from.")]
FreshUntil = Annotated[
    UtcTime | None, Field(description="Everything received before this is counted.")
]


class Measures(BaseModel):
    """How many watched, from viewer snapshots. null: not measured."""

    live_seconds: float | None = Field(description="Seconds live.")
    covered_seconds: float | None = Field(
        description="Seconds of those in which a sample held (150 s each at most)."
    )
    viewer_seconds: float | None = Field(
        description="Integral of viewers over the covered seconds."
    )
    average_viewers: float | None = Field(description="viewer_seconds / covered_seconds.")
    coverage_ratio: float | None = Field(description="covered_seconds / live_seconds, 0 to 1.")
    peak_viewers: int | None = Field(description="The largest sample.")
    peak_at: UtcTime | None = Field(description="When it was; the earliest wins a tie.")
    messages: int | None = Field(description="Chat messages.")
    samples: int = Field(description="Sample instants.")
    null_samples: int = Field(description="Those of them whose viewer count failed.")


# In an answer the facts stand before the measures: pydantic lists the last base's fields first.


class _SegmentFacts(BaseModel):
    segment_id: str = Field(description="Id, with the prefix `sseg_`.")
    position: int = Field(description="Place in the stream, from 0.")
    title: str = Field(description="Title.")
    category_id: str | None = Field(description="Category.")
    category_name: str | None = Field(description="Category's name.")
    started_at: UtcTime = Field(description="Begin.")
    ended_at: UtcTime | None = Field(description="End; null: it runs still.")


class SegmentOut(Measures, _SegmentFacts):
    """A part of a stream with its own title, and the audience inside it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SEGMENT_EXAMPLE]})


class _StreamFacts(BaseModel):
    stream_id: str = Field(description="Id, with the prefix `st_`.")
    channel_id: str = Field(description="Its channel.")
    title: str = Field(description="Title.")
    category_id: str | None = Field(description="Category.")
    category_name: str | None = Field(description="Category's name.")
    status: str = Field(description="`scheduled`, `live` or `ended`.")
    started_at: UtcTime = Field(description="Begin.")
    ended_at: UtcTime | None = Field(
        description="End; while it runs, one minute after the newest sample."
    )
    is_final: bool = Field(description="Whether the end is known.")
    viewer_source: str | None = Field(
        description="`snapshot`: counted by polls; null: not measured."
    )


class StreamAnalyticsOut(Measures, _StreamFacts):
    """A stream, its whole audience, and its segments."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stream_id": _STREAM_ID,
                    "channel_id": _CHANNEL_ID,
                    "title": "AGDQ 2020",
                    "category_id": None,
                    "category_name": None,
                    "status": "ended",
                    "started_at": "2020-01-05T16:25:00Z",
                    "ended_at": "2020-01-12T19:07:00Z",
                    "is_final": True,
                    "viewer_source": "snapshot",
                    **_MEASURES_EXAMPLE,
                    "segments": [_SEGMENT_EXAMPLE],
                    "players": None,
                    **_BUILD_EXAMPLE,
                }
            ]
        }
    )

    segments: list[SegmentOut] = Field(description="Segments in order.")
    players: PlayersOut | None = Field(
        description="What its players told; null: nothing, its viewers were counted only."
    )
    build: BuildId
    fresh_until: FreshUntil


class _DayFacts(BaseModel):
    day: date = Field(description="The day (UTC).")
    streams: int = Field(description="Streams live on it.")
    streams_started: int = Field(description="Streams that began on it.")


class ChannelDayOut(Measures, _DayFacts):
    """One UTC day of a channel."""


class _ChannelFacts(BaseModel):
    channel_id: str = Field(description="Id, with the prefix `ch_`.")
    username: str = Field(description="Name in addresses.")
    title: str | None = Field(description="Name that people see.")
    from_at: UtcTime | None = Field(
        serialization_alias="from", description="Begin of the range; null: the first stream."
    )
    to_at: UtcTime | None = Field(
        serialization_alias="to", description="End of the range, not in it; null: the newest."
    )
    streams: int = Field(description="Streams live in the range.")
    stream_seconds: float | None = Field(
        description="Live time summed over the streams, overlaps twice."
    )
    peak_stream_id: str | None = Field(description="The stream that had the peak.")


class ChannelAnalyticsOut(Measures, _ChannelFacts):
    """A channel over a range `[from, to)`, and its days that had a stream."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel_id": _CHANNEL_ID,
                    "username": "gdq",
                    "title": "Games Done Quick",
                    "from": "2020-01-05T00:00:00Z",
                    "to": "2020-01-13T00:00:00Z",
                    "streams": 1,
                    "stream_seconds": 614520.0,
                    "peak_stream_id": _STREAM_ID,
                    **_MEASURES_EXAMPLE,
                    "days": [
                        {
                            "day": "2020-01-05",
                            "streams": 1,
                            "streams_started": 1,
                            **_MEASURES_EXAMPLE,
                        }
                    ],
                    **_BUILD_EXAMPLE,
                }
            ]
        },
    )

    days: list[ChannelDayOut] = Field(
        description="Days with a stream that begin in the range, in order."
    )
    build: BuildId
    fresh_until: FreshUntil


class ChartPointOut(BaseModel):
    """One point of a chart."""

    at: UtcTime = Field(description="When.")
    viewers: int | None = Field(description="Viewers; null: not measured.")
    messages: int | None = Field(description="Chat messages in the sample's minute, or the bucket.")


class ChartSummary(BaseModel):
    """Of all samples in the range, however many points there are."""

    peak_viewers: int | None = Field(description="The largest sample.")
    peak_at: UtcTime | None = Field(description="When it was; the earliest wins a tie.")
    average_viewers: float | None = Field(
        description="Time-weighted average over the covered seconds."
    )
    messages: int | None = Field(description="Chat messages.")
    coverage_ratio: float | None = Field(
        description="Share of the live time that is measured, 0 to 1."
    )


class ViewersChartOut(BaseModel):
    """Viewers and chat over a range `[from, to)` of one stream."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stream_id": _STREAM_ID,
                    "from": "2020-01-12T02:40:00Z",
                    "to": "2020-01-12T02:42:00Z",
                    "points": [
                        {"at": "2020-01-12T02:40:00Z", "viewers": 236904, "messages": 212},
                        {"at": "2020-01-12T02:41:00Z", "viewers": 237523, "messages": 305},
                    ],
                    "summary": {
                        "peak_viewers": 237523,
                        "peak_at": "2020-01-12T02:41:00Z",
                        "average_viewers": 237213.5,
                        "messages": 517,
                        "coverage_ratio": 1.0,
                    },
                    **_BUILD_EXAMPLE,
                }
            ]
        },
    )

    stream_id: str = Field(description="Id of the stream.")
    from_at: UtcTime = Field(serialization_alias="from", description="Begin of the range.")
    to_at: UtcTime = Field(serialization_alias="to", description="End of the range, not in it.")
    points: list[ChartPointOut] = Field(
        description="In time order: every sample where they are at most `max_points`, else the "
        "peak of each bucket."
    )
    summary: ChartSummary
    build: BuildId
    fresh_until: FreshUntil


def measures(audience: Audience) -> dict[str, Any]:
    """The fields of `Measures`."""
    return {name: getattr(audience, name) for name in Measures.model_fields}


def from_build(opened: OpenBuild) -> dict[str, Any]:
    """The fields that name the build."""
    return {"build": opened.build.id, "fresh_until": opened.fresh_until}


def stream_out(
    stream: StreamSummary,
    segments: list[SegmentSummary],
    players: StreamPlayers | None,
    opened: OpenBuild,
) -> StreamAnalyticsOut:
    """A stream's answer."""
    return StreamAnalyticsOut(
        stream_id=stream.stream_id,
        channel_id=stream.channel_id,
        title=stream.title,
        category_id=stream.category_id,
        category_name=stream.category_name,
        status=stream.status,
        started_at=stream.started_at,
        ended_at=stream.ended_at,
        is_final=stream.is_final,
        viewer_source=stream.viewer_source,
        segments=[_segment_out(segment) for segment in segments],
        players=players_out(players) if players else None,
        **measures(stream.audience),
        **from_build(opened),
    )


def channel_out(
    channel: ChannelSummary, days: list[ChannelDay], opened: OpenBuild
) -> ChannelAnalyticsOut:
    """A channel's answer."""
    return ChannelAnalyticsOut(
        channel_id=channel.channel_id,
        username=channel.username,
        title=channel.title,
        from_at=channel.from_at,
        to_at=channel.to_at,
        streams=channel.streams,
        stream_seconds=channel.stream_seconds,
        peak_stream_id=channel.peak_stream_id,
        days=[
            ChannelDayOut(
                day=day.day,
                streams=day.streams,
                streams_started=day.streams_started,
                **measures(day.audience),
            )
            for day in days
        ],
        **measures(channel.audience),
        **from_build(opened),
    )


def chart_out(chart: ViewersChart, opened: OpenBuild) -> ViewersChartOut:
    """A chart's answer."""
    summary = chart.summary
    return ViewersChartOut(
        stream_id=chart.stream_id,
        from_at=chart.from_at,
        to_at=chart.to_at,
        points=[
            ChartPointOut(at=point.at, viewers=point.viewers, messages=point.messages)
            for point in chart.points
        ],
        summary=ChartSummary(
            peak_viewers=summary.peak_viewers,
            peak_at=summary.peak_at,
            average_viewers=summary.average_viewers,
            messages=summary.messages,
            coverage_ratio=summary.coverage_ratio,
        ),
        **from_build(opened),
    )


def _segment_out(segment: SegmentSummary) -> SegmentOut:
    return SegmentOut(
        segment_id=segment.segment_id,
        position=segment.position,
        title=segment.title,
        category_id=segment.category_id,
        category_name=segment.category_name,
        started_at=segment.started_at,
        ended_at=segment.ended_at,
        **measures(segment.audience),
    )
