"""A channel's page: its numbers over a period, its days, its streams."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import streamlit as st

from aethex.dashboards import (
    day_charts,
    navigation,
    parts,
    periods,
    queries,
    states,
    tables,
    theme,
    wording,
)
from aethex.dashboards.components.table import table
from aethex.dashboards.periods import Period
from aethex.lake.analytics import ChannelDay, ChannelListItem, ChannelSummary, StreamSummary

_CUSTOM = "custom"
_DAYS_SHOWN = 3


def render() -> None:
    """Draw the page for the channel and period of the address."""
    shown = queries.shown_build()
    assert shown is not None  # the frame draws pages only over a build
    channels = queries.channels(shown.build_id)
    if not channels:
        states.no_channels()
        return
    wanted = navigation.chosen_channel(channels[0].username)
    current = next((c for c in channels if wanted in (c.username, c.channel_id)), None)
    if current is None:
        states.unknown("channel", str(wanted))
        _choose_channel(channels, None)
        return
    navigation.remember_channel(current.username)
    streams = queries.channel_streams(current.channel_id, shown.build_id, None, None)
    heading, choice = st.columns([3, 1], vertical_alignment="bottom")
    with choice:
        _choose_channel(channels, current)
    with heading:
        parts.head(
            current.title or current.username,
            f"@{current.username} · {wording.plural(current.streams, 'stream')}",
            link=("Videos", navigation.videos_link(current.username)),
        )
    if not streams:
        states.no_streams(current.username)
        return
    period = _choose_period(streams)
    if period is not None:
        _numbers(current, period, shown)


def _choose_channel(channels: Sequence[ChannelListItem], current: ChannelListItem | None) -> None:
    """A select box over all channels, the one of the address chosen."""
    names = [channel.username for channel in channels]
    key = "channel_choice"
    st.session_state[key] = current.username if current else None

    def change() -> None:
        if chosen := st.session_state[key]:
            navigation.open_channel(chosen)
            st.session_state.pop("period_choice", None)

    st.selectbox(
        "Channel",
        names,
        key=key,
        on_change=change,
        placeholder="Choose a channel",
        format_func=lambda n: f"@{n}",
    )


def _choose_period(streams: Sequence[StreamSummary]) -> Period | None:
    """The address's period, changed by buttons or two dates. None while only one is chosen."""
    first_at = min(stream.started_at for stream in streams)
    last_at = max(stream.ended_at or stream.started_at for stream in streams)
    wanted = st.query_params.get("period", periods.DEFAULT)
    try:
        period = periods.resolve(wanted, first_at, last_at)
    except ValueError:
        period = periods.resolve(periods.DEFAULT, first_at, last_at)
    is_custom = period.key not in periods.LABELS
    key = "period_choice"
    if key not in st.session_state or st.session_state[key] is None:
        st.session_state[key] = _CUSTOM if is_custom else period.key

    def change() -> None:
        if st.session_state[key] != _CUSTOM:
            st.query_params["period"] = st.session_state[key]

    with st.container(horizontal=True, vertical_alignment="bottom", key="periods"):
        chosen = st.segmented_control(
            "Period",
            [*periods.LABELS, _CUSTOM],
            format_func=lambda name: periods.LABELS.get(name, "Dates"),
            key=key,
            required=True,
            on_change=change,
            label_visibility="collapsed",
        )
        if chosen == _CUSTOM:
            return _choose_dates(period, first_at, last_at)
    return period


def _choose_dates(period: Period, first_at: datetime, last_at: datetime) -> Period | None:
    """Two dates, both included, kept in the address."""
    picked = st.date_input(
        "Dates (UTC)",
        (period.from_at.date(), (period.to_at - timedelta(days=1)).date()),
        format="YYYY-MM-DD",
        label_visibility="collapsed",
        width=260,
    )
    dates: tuple[date, ...] = picked if isinstance(picked, tuple) else (picked,)
    if len(dates) < 2:
        parts.small("Choose the last day too.")
        return None
    key = f"{dates[0].isoformat()}..{dates[1].isoformat()}"
    st.query_params["period"] = key
    return periods.resolve(key, first_at, last_at)


def _numbers(channel: ChannelListItem, period: Period, shown: queries.Shown) -> None:
    """Tiles, chart and table of the period."""
    span = (period.from_at, period.to_at)
    summary = queries.channel_summary(channel.channel_id, shown.build_id, *span)
    before = (
        queries.channel_summary(channel.channel_id, shown.build_id, *period.before)
        if period.before
        else None
    )
    compared = (
        f", compared with {wording.days(*period.before)}"
        if before and before.streams and period.before
        else ""
    )
    st.html(parts.freshness(shown.data_until, shown.build_id, wording.days(*span) + compared))
    streams = queries.channel_streams(channel.channel_id, shown.build_id, *span)
    if not streams:
        states.state(
            "No streams in this period",
            f"@{channel.username} was not live on {wording.days(*span)}. "
            "Choose a longer period above.",
        )
        return
    parts.tiles(
        _tiles(summary, before if before and before.streams else None, streams),
        "Numbers of the period",
    )
    _days_panel(channel, period, shown)
    _streams_table(channel, period, streams)


def _tiles(
    summary: ChannelSummary, before: ChannelSummary | None, streams: Sequence[StreamSummary]
) -> list[parts.Tile]:
    now, then = summary.audience, before.audience if before else None
    titles = {stream.stream_id: stream.title for stream in streams}
    peak_title = titles.get(summary.peak_stream_id or "", "")
    uncovered = (
        None
        if summary.stream_seconds is None or now.covered_seconds is None
        else round(summary.stream_seconds - now.covered_seconds)
    )
    return [
        parts.Tile(
            "Streams",
            wording.count(summary.streams),
            change=wording.change(summary.streams, before.streams) if before else None,
            before=wording.count(before.streams) if before else "",
        ),
        parts.Tile(
            "Time live",
            wording.hours(now.live_seconds),
            exact=wording.duration(now.live_seconds),
            change=wording.change(now.live_seconds, then.live_seconds) if then else None,
            before=wording.hours(then.live_seconds) if then else "",
        ),
        parts.Tile(
            "Average viewers",
            wording.short_count(now.average_viewers),
            exact="" if now.average_viewers is None else f"{now.average_viewers:,.2f}",
            change=wording.change(now.average_viewers, then.average_viewers) if then else None,
            before=wording.short_count(then.average_viewers) if then else "",
        ),
        parts.Tile(
            "Peak viewers",
            wording.short_count(now.peak_viewers),
            exact=wording.count(now.peak_viewers),
            note=wording.moment(now.peak_at, zone=True) + (f", {peak_title}" if peak_title else "")
            if now.peak_at
            else "",
        ),
        parts.Tile(
            "Chat messages",
            wording.short_count(now.messages),
            exact=wording.count(now.messages),
            change=wording.change(now.messages, then.messages) if then else None,
            before=wording.short_count(then.messages) if then else "",
        ),
        parts.Tile(
            "Coverage",
            wording.percent(now.coverage_ratio),
            note="all of it measured"
            if not uncovered
            else f"{wording.duration(uncovered)} not measured",
        ),
    ]


def _days_panel(channel: ChannelListItem, period: Period, shown: queries.Shown) -> None:
    """The chart of the period's days."""
    mode: theme.Mode = st.session_state["aethex_mode"]
    colours = theme.PALETTES[mode].series
    days = queries.channel_days(channel.channel_id, shown.build_id, period.from_at, period.to_at)
    step = day_charts.step_of(period.from_at, period.to_at)
    with st.container(border=True, key="panel_days"):
        parts.panel_title(
            f"Viewers per {step}",
            f"{wording.days(period.from_at, period.to_at)}, UTC",
            [(colours[0], "average"), (colours[2], "peak")],
        )
        st.vega_lite_chart(
            spec=day_charts.days_chart(days, period.from_at, period.to_at, shown.data_until, mode),
            theme=None,
            width="stretch",
            key="days_chart",
            alt=f"Average and peak viewers per {step} of @{channel.username}",
        )
        _missing_note(days)
        with st.expander(
            "The chart as a table", icon=":material/table:", key="days", on_change="rerun"
        ) as twin:
            if twin.open:
                tables.days_table(channel, days)


def _missing_note(days: Sequence[ChannelDay]) -> None:
    """Which days are not wholly measured, the worst of them named."""
    missing = {
        day: unmeasured for day in days if (unmeasured := day_charts.unmeasured_seconds(day))
    }
    if not missing:
        return
    worst = sorted(missing, key=lambda day: missing[day], reverse=True)[:_DAYS_SHOWN]
    more = (
        f", most of it on {len(worst)} of {len(missing):,} days"
        if len(missing) > len(worst)
        else ""
    )
    parts.note(
        f"{wording.duration(sum(missing.values()))} was not measured and is left out of the "
        f"averages{more}:",
        [
            f"{wording.day(day.day)}: {wording.percent(day.audience.coverage_ratio)} measured, "
            f"{wording.duration(missing[day])} missing"
            for day in sorted(worst, key=lambda day: day.day)
        ],
    )


def _streams_table(
    channel: ChannelListItem, period: Period, streams: Sequence[StreamSummary]
) -> None:
    """The period's streams; a row opens its stream."""
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"
    ):
        parts.panel_title("Streams", "newest first; each with its whole length")
        st.download_button(
            "CSV",
            lambda: tables.streams_csv(streams),
            file_name=f"{channel.username}_streams.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="streams_csv",
        )
    columns, rows = tables.stream_rows(channel.username, streams)
    table(
        f"Streams of @{channel.username}, {wording.days(period.from_at, period.to_at)}",
        columns,
        rows,
        key="streams_table",
        sorted_by=1,
        is_descending=True,
        on_choose=navigation.open_stream,
    )
