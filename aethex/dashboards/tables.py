"""Tables and CSV files: the same numbers as the charts and tiles, row by row.

What belongs here: columns, cells and CSV text from the lake's answers. What does not: how the table
component draws, or where a table stands. CSV columns carry their unit as a suffix and times are ISO
8601 with Z.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from aethex.dashboards import navigation, wording
from aethex.dashboards.components.table import Cell, Column, Row
from aethex.lake.analytics import (
    Audience,
    ChannelDay,
    ChannelListItem,
    ChartPoint,
    SegmentSummary,
    StreamSummary,
    ViewersChart,
)

_AUDIENCE_FIELDS = (
    "live_seconds",
    "covered_seconds",
    "average_viewers",
    "coverage_ratio",
    "peak_viewers",
    "peak_at",
    "messages",
    "samples",
    "null_samples",
)


def messages_per_minute(audience: Audience) -> float | None:
    """Chat messages per live minute."""
    if audience.messages is None or not audience.live_seconds:
        return None
    return audience.messages * 60 / audience.live_seconds


def _number(text: str, value: float | None, **more: Any) -> Cell:
    return Cell("—" if value is None else text, value, **more)


def _when(at: datetime) -> Cell:
    return Cell(wording.moment(at), at.timestamp())


def _audience_cells(audience: Audience, largest_peak: int) -> tuple[Cell, ...]:
    peak = audience.peak_viewers
    return (
        _number(
            wording.count(peak),
            peak,
            bar_ratio=None if peak is None else peak / max(1, largest_peak),
        ),
        _number(wording.count(audience.average_viewers), audience.average_viewers),
        _number(wording.count(audience.messages), audience.messages),
        _number(wording.rate(messages_per_minute(audience)), messages_per_minute(audience)),
        _number(wording.percent(audience.coverage_ratio), audience.coverage_ratio),
    )


_AUDIENCE_COLUMNS = (
    Column("Peak", "viewers", is_number=True),
    Column("Average", "viewers", is_number=True),
    Column("Messages", is_number=True),
    Column("Messages", "per min", is_number=True),
    Column("Coverage", is_number=True),
)


def stream_rows(username: str, streams: Sequence[StreamSummary]) -> tuple[list[Column], list[Row]]:
    """The table of a channel's streams."""
    columns = [
        Column("Stream", is_wide=True),
        Column("Started", "UTC", is_number=True),
        Column("Duration", "h:mm:ss", is_number=True),
        *_AUDIENCE_COLUMNS,
    ]
    largest = max((s.audience.peak_viewers or 0 for s in streams), default=0)
    rows = [
        Row(
            stream.stream_id,
            navigation.stream_link(username, stream.stream_id),
            (
                Cell(stream.title, stream.title.lower(), note=_stream_note(stream)),
                _when(stream.started_at),
                _number(wording.clock(stream.audience.live_seconds), stream.audience.live_seconds),
                *_audience_cells(stream.audience, largest),
            ),
        )
        for stream in streams
    ]
    return columns, rows


def _stream_note(stream: StreamSummary) -> str:
    notes = [stream.category_name or "", "" if stream.is_final else "live"]
    if stream.viewer_source is None:
        notes.append("viewers not measured")
    return " · ".join(filter(None, notes))


def segment_rows(
    username: str, segments: Sequence[SegmentSummary]
) -> tuple[list[Column], list[Row]]:
    """The table of a stream's segments."""
    columns = [
        Column("Segment", is_wide=True),
        Column("Start", "UTC", is_number=True),
        Column("Duration", "h:mm:ss", is_number=True),
        *_AUDIENCE_COLUMNS,
    ]
    largest = max((s.audience.peak_viewers or 0 for s in segments), default=0)
    rows = [
        Row(
            segment.segment_id,
            navigation.stream_link(username, segment.stream_id, segment.segment_id),
            (
                Cell(segment.title, segment.title.lower(), note=segment.category_name or ""),
                _when(segment.started_at),
                _length(segment),
                *_audience_cells(segment.audience, largest),
            ),
        )
        for segment in segments
    ]
    return columns, rows


def _length(segment: SegmentSummary) -> Cell:
    if segment.ended_at is None:
        return Cell("—", None, note="open")
    seconds = (segment.ended_at - segment.started_at).total_seconds()
    return _number(wording.clock(seconds), seconds)


def days_table(channel: ChannelListItem, days: Sequence[ChannelDay]) -> None:
    """The table twin of the day chart, with its CSV."""
    rows = [
        {
            "Day (UTC)": day.day,
            "Streams": day.streams,
            "Live, h": None
            if day.audience.live_seconds is None
            else day.audience.live_seconds / 3600,
            "Average viewers": day.audience.average_viewers,
            "Peak viewers": day.audience.peak_viewers,
            "Messages": day.audience.messages,
            "Coverage": day.audience.coverage_ratio,
        }
        for day in days
    ]
    st.dataframe(
        rows,
        hide_index=True,
        placeholder="—",
        column_config={
            "Live, h": st.column_config.NumberColumn(format="%.1f"),
            "Average viewers": st.column_config.NumberColumn(format="localized"),
            "Peak viewers": st.column_config.NumberColumn(format="localized"),
            "Messages": st.column_config.NumberColumn(format="localized"),
            "Coverage": st.column_config.NumberColumn(format="percent"),
        },
    )
    st.download_button(
        "CSV",
        lambda: days_csv(days),
        file_name=f"{channel.username}_days.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="days_csv",
    )


def points_table(chart: ViewersChart) -> None:
    """The table twin of a stream's chart: its points as they are drawn."""
    rows = [
        {"Time (UTC)": point.at, "Viewers": point.viewers, "Messages": point.messages}
        for point in chart.points
    ]
    number = st.column_config.NumberColumn(format="localized")
    st.dataframe(
        rows,
        hide_index=True,
        placeholder="not measured",
        height=320,
        column_config={
            "Time (UTC)": st.column_config.DatetimeColumn(
                format="YYYY-MM-DD HH:mm:ss", timezone="UTC"
            ),
            "Viewers": number,
            "Messages": number,
        },
    )


def streams_csv(streams: Sequence[StreamSummary]) -> str:
    """One row a stream, exact numbers."""
    names = ("stream_id", "title", "category_name", "status", "started_at", "ended_at")
    return _csv(
        (*names, *_AUDIENCE_FIELDS), ([*_fields(s, names), *_audience_fields(s)] for s in streams)
    )


def segments_csv(segments: Sequence[SegmentSummary]) -> str:
    """One row a segment, exact numbers."""
    names = ("segment_id", "position", "title", "category_name", "started_at", "ended_at")
    rows = (
        [*_fields(s, names), *_audience_fields(s), messages_per_minute(s.audience)]
        for s in segments
    )
    return _csv((*names, *_AUDIENCE_FIELDS, "messages_per_minute"), rows)


def days_csv(days: Sequence[ChannelDay]) -> str:
    """One row a UTC day, exact numbers."""
    names = ("day", "streams", "streams_started")
    return _csv(
        (*names, *_AUDIENCE_FIELDS), ([*_fields(d, names), *_audience_fields(d)] for d in days)
    )


def samples_csv(points: Sequence[ChartPoint]) -> str:
    """One row a sample; an empty `viewers` is a poll that failed."""
    names = ("at", "viewers", "messages")
    return _csv(names, (_fields(point, names) for point in points))


def _fields(item: object, names: Iterable[str]) -> list[Any]:
    return [getattr(item, name) for name in names]


def _audience_fields(item: StreamSummary | SegmentSummary | ChannelDay) -> list[Any]:
    return _fields(item.audience, _AUDIENCE_FIELDS)


def _csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[_plain(value) for value in row] for row in rows])
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return wording.utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value[:1] in "=+-@\t\r":
        return "'" + value  # a title must not become a formula in a spreadsheet
    return value
