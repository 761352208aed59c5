"""A stream's page: its numbers, its viewers over time with segments and chat, its segments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from aethex.dashboards import (
    charts,
    gaps,
    navigation,
    parts,
    queries,
    states,
    stream_tiles,
    tables,
    theme,
    wording,
)
from aethex.dashboards.components.table import table
from aethex.lake.analytics import ChannelListItem, SegmentSummary, StreamSummary, ViewersChart

_GAPS_SHOWN = 3


def render() -> None:
    """Draw the page for the stream of the address. Raises NotInBuild."""
    shown = queries.shown_build()
    assert shown is not None  # the frame draws pages only over a build
    stream = queries.stream(st.query_params["stream"], shown.build_id)
    channel = queries.channel(stream.channel_id, shown.build_id)
    navigation.remember_channel(channel.username)
    _heading(channel, stream, shown)
    is_counted = stream.viewer_source is not None and stream.ended_at is not None
    if is_counted:
        stream_tiles.counted(stream)
    players = queries.stream_players(stream.channel_id, stream.stream_id, shown.build_id)
    if players is not None:
        stream_tiles.told_by_players(players)
    if not is_counted:
        states.no_samples(channel.username, stream.title, is_told=players is not None)
        return
    assert stream.ended_at is not None
    _audience(channel, stream, stream.ended_at, shown)


def _heading(channel: ChannelListItem, stream: StreamSummary, shown: queries.Shown) -> None:
    """Title, when, how fresh, and the way to the channel and its other streams."""
    heading, choice = st.columns([3, 1], vertical_alignment="bottom")
    with choice:
        _choose_stream(channel, stream, shown)
    with heading:
        st.button(
            f"@{channel.username}",
            icon=":material/arrow_back:",
            type="tertiary",
            on_click=navigation.open_channel,
            args=(channel.username,),
            key="back",
        )
        when = "live since " + wording.moment(stream.started_at, zone=True)
        if stream.is_final and stream.ended_at is not None:
            when = f"{wording.span(stream.started_at, stream.ended_at)} UTC"
        about = [when, stream.category_name]
        pill = None if stream.is_final else ("live", "live")
        parts.head(
            stream.title,
            " · ".join(part for part in about if part),
            pill=pill,
            under=parts.freshness(shown.data_until, shown.build_id),
        )


def _choose_stream(channel: ChannelListItem, stream: StreamSummary, shown: queries.Shown) -> None:
    """A select box over the channel's streams."""
    streams = {
        s.stream_id: s
        for s in queries.channel_streams(channel.channel_id, shown.build_id, None, None)
    }
    key = "stream_choice"
    st.session_state[key] = stream.stream_id

    def change() -> None:
        navigation.open_stream(st.session_state[key])

    st.selectbox(
        "Stream",
        list(streams),
        key=key,
        on_change=change,
        format_func=lambda name: f"{wording.day(streams[name].started_at)} · {streams[name].title}",
    )


@st.fragment
@states.guarded()  # its reruns do not pass through the frame
def _audience(
    channel: ChannelListItem, stream: StreamSummary, ended_at: datetime, shown: queries.Shown
) -> None:
    """Chart and segment table: choosing a segment redraws these two alone."""
    segments = queries.segments(channel.channel_id, stream.stream_id, shown.build_id)
    selected = _selected(segments)
    from_at = selected.started_at if selected else stream.started_at
    to_at = (selected.ended_at or ended_at) if selected else ended_at
    from_at, to_at = max(from_at, stream.started_at), min(to_at, ended_at)
    with st.container(border=True, key="panel_viewers"):
        if from_at >= to_at:
            _choose_segment(segments, selected)
            parts.note(
                "This segment lies outside the time that the stream was live, so nothing of it is "
                "measured."
            )
        else:
            _chart_panel(channel, stream, (from_at, to_at), segments, selected, shown)
    if segments:
        _segments_table(channel, stream, segments, selected)


def _chart_panel(
    channel: ChannelListItem,
    stream: StreamSummary,
    span: tuple[datetime, datetime],
    segments: Sequence[SegmentSummary],
    selected: SegmentSummary | None,
    shown: queries.Shown,
) -> None:
    chart = queries.viewers(channel.channel_id, stream.stream_id, shown.build_id, *span)
    missing = gaps.clipped(
        queries.gaps(channel.channel_id, stream.stream_id, shown.build_id), *span
    )
    title, choice = st.columns([3, 1], vertical_alignment="center")
    with title:
        parts.panel_title(
            selected.title if selected else "Viewers over time", _summary_line(chart, selected)
        )
    with choice:
        if segments:
            _choose_segment(segments, selected)
    _draw_chart(channel, stream, span, selected, shown, _summary_line(chart, selected))
    _gap_note(missing)
    with st.expander(
        "The chart as a table", icon=":material/table:", key="points", on_change="rerun"
    ) as twin:
        if twin.open:
            tables.points_table(chart)
            _samples_download(channel, stream, span, shown)


def _samples_download(
    channel: ChannelListItem,
    stream: StreamSummary,
    span: tuple[datetime, datetime],
    shown: queries.Shown,
) -> None:
    st.download_button(
        "Every sample as CSV",
        lambda: tables.samples_csv(
            queries.samples(channel.channel_id, stream.stream_id, shown.build_id, *span)
        ),
        file_name=f"{channel.username}_{stream.stream_id}_samples.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="samples_csv",
    )


def _draw_chart(
    channel: ChannelListItem,
    stream: StreamSummary,
    span: tuple[datetime, datetime],
    selected: SegmentSummary | None,
    shown: queries.Shown,
    summary: str,
) -> None:
    """The chart; a click on a band chooses its segment."""
    key = f"viewers_chart_{selected.segment_id if selected else stream.stream_id}"
    spec = _specification(
        channel.channel_id,
        stream.stream_id,
        shown.build_id,
        *span,
        selected.segment_id if selected else None,
        st.session_state["aethex_mode"],
    )

    def choose() -> None:
        rows = st.session_state[key].selection.get("segment") or []
        if rows:
            _set_segment(rows[0]["segment_id"])

    has_bands = "segments" in spec["datasets"]
    st.vega_lite_chart(
        spec=spec,
        theme=None,
        width="stretch",
        key=key,
        on_select=choose if has_bands else "ignore",
        selection_mode="segment" if has_bands else None,
        alt=f"Viewers of {stream.title} over time: {summary}",
    )


@st.cache_data(show_spinner=False, max_entries=128)
def _specification(
    channel_id: str,
    stream_id: str,
    build_id: str,
    from_at: datetime,
    to_at: datetime,
    segment_id: str | None,
    mode: theme.Mode,
) -> dict[str, Any]:
    """The chart's specification; building one costs more than everything else on the page."""
    ended_at = queries.stream(stream_id, build_id).ended_at
    view = charts.StreamView(
        queries.viewers(channel_id, stream_id, build_id, from_at, to_at),
        queries.segments(channel_id, stream_id, build_id),
        gaps.clipped(queries.gaps(channel_id, stream_id, build_id), from_at, to_at),
        ended_at or to_at,
        segment_id,
    )
    return charts.stream_chart(view, mode)


def _summary_line(chart: ViewersChart, selected: SegmentSummary | None) -> str:
    """The range's own numbers, so that a zoomed chart names its period and its peak."""
    summary = chart.summary
    each = (
        "each sample"
        if chart.bucket_seconds is None
        else f"highest sample of each {wording.duration(chart.bucket_seconds)}"
    )
    if selected is None:
        return f"{each}, UTC"
    numbers = [
        f"{wording.span(chart.from_at, chart.to_at)} UTC",
        f"peak {wording.count(summary.peak_viewers)}",
        f"average {wording.count(summary.average_viewers)}",
        f"{wording.count(summary.messages)} messages",
        f"coverage {wording.percent(summary.coverage_ratio)}",
        each,
    ]
    return " · ".join(numbers)


def _gap_note(missing: Sequence[gaps.Gap]) -> None:
    """What is missing, and where most of it."""
    if not missing:
        return
    total = sum(gap.seconds for gap in missing)
    listed = gaps.largest(missing, _GAPS_SHOWN)
    more = (
        ""
        if len(missing) <= len(listed)
        else f", the {len(listed)} longest of {len(missing):,} gaps"
    )
    parts.note(
        f"{wording.duration(total)} of this time was not measured and is left out of the average"
        f"{more}:",
        [
            f"{wording.span(gap.from_at, gap.to_at)} UTC ({wording.duration(gap.seconds)})"
            for gap in listed
        ],
    )


def _selected(segments: Sequence[SegmentSummary]) -> SegmentSummary | None:
    wanted = st.query_params.get("segment")
    return next((segment for segment in segments if segment.segment_id == wanted), None)


def _set_segment(segment_id: str | None) -> None:
    if segment_id is None:
        st.query_params.pop("segment", None)
    else:
        st.query_params["segment"] = segment_id


def _choose_segment(segments: Sequence[SegmentSummary], selected: SegmentSummary | None) -> None:
    """A select box over the stream's segments; the first choice is the whole stream."""
    by_id = {segment.segment_id: segment for segment in segments}
    key = "segment_choice"
    st.session_state[key] = selected.segment_id if selected else None

    def change() -> None:
        _set_segment(st.session_state[key])

    st.selectbox(
        "Segment",
        list(by_id),
        key=key,
        on_change=change,
        placeholder="Whole stream",
        format_func=lambda name: by_id[name].title,
        label_visibility="collapsed",
    )


def _segments_table(
    channel: ChannelListItem,
    stream: StreamSummary,
    segments: Sequence[SegmentSummary],
    selected: SegmentSummary | None,
) -> None:
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"
    ):
        parts.panel_title("Segments", "a row zooms the chart to its segment")
        st.download_button(
            "CSV",
            lambda: tables.segments_csv(segments),
            file_name=f"{channel.username}_{stream.stream_id}_segments.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="segments_csv",
        )
    columns, rows = tables.segment_rows(channel.username, segments)

    def choose(segment_id: str) -> None:
        _set_segment(None if selected and selected.segment_id == segment_id else segment_id)

    table(
        f"Segments of {stream.title}",
        columns,
        rows,
        key="segments_table",
        sorted_by=1,
        selected=selected.segment_id if selected else None,
        on_choose=choose,
    )
