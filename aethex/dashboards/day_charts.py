"""A channel's days as a chart: average and peak viewers of each day, week or month.

What belongs here: rolling days up and their chart. What does not: reading data, page layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

import altair as alt

from aethex.dashboards import specs, wording
from aethex.dashboards.periods import midnight
from aethex.dashboards.theme import PALETTES, Mode, Palette
from aethex.lake.analytics import Audience, ChannelDay

Step = Literal["day", "week", "month"]
_HEIGHT = 230
_PANEL = (20, _HEIGHT)
_MOST_DAYS, _MOST_WEEK_DAYS = 100, 800
_LABELS = 10
_TOOLTIP = {
    "average_text": "Average viewers",
    "peak_text": "Peak viewers",
    "live_text": "Live",
    "messages_text": "Messages",
    "coverage_text": "Coverage",
}


def step_of(from_at: datetime, to_at: datetime) -> Step:
    """What one bar of a period stands for, so that bars stay readable."""
    days = (to_at - from_at).days
    return "day" if days <= _MOST_DAYS else "week" if days <= _MOST_WEEK_DAYS else "month"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar `[from_at, to_at)`: sums of its days, and their average weighed by measured time."""

    from_at: datetime
    to_at: datetime
    average_viewers: float | None
    peak_viewers: int | None
    peak_at: datetime | None
    live_seconds: float
    messages: int | None
    coverage_ratio: float | None


def bars_of(days: Iterable[ChannelDay], step: Step) -> list[Bar]:
    """The days in order, rolled up by their step; steps without a stream have no bar."""
    return [
        _bar(start, list(group), step)
        for start, group in groupby(days, key=lambda day: _start(day.day, step))
    ]


def _start(day: date, step: Step) -> date:
    if step == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if step == "month" else day


def _next(start: date, step: Step) -> date:
    if step == "month":
        return (start + timedelta(days=31)).replace(day=1)
    return start + timedelta(days=7 if step == "week" else 1)


def unmeasured_seconds(day: ChannelDay) -> int:
    """Whole live seconds of the day's streams in which nothing was measured."""
    return max(0, round(_due_seconds(day.audience) - (day.audience.covered_seconds or 0)))


def _due_seconds(audience: Audience) -> float:
    """Live seconds that coverage counts: those of each stream, where several are live at once."""
    if audience.coverage_ratio and audience.covered_seconds is not None:
        return audience.covered_seconds / audience.coverage_ratio
    return audience.live_seconds or 0


def _bar(start: date, days: list[ChannelDay], step: Step) -> Bar:
    audiences = [day.audience for day in days]
    covered = sum(a.covered_seconds or 0 for a in audiences)
    weighted = sum(a.viewer_seconds or 0 for a in audiences)
    due = sum(map(_due_seconds, audiences))
    peaks = [a for a in audiences if a.peak_viewers is not None]
    top = max(peaks, key=lambda a: a.peak_viewers or 0, default=None)
    messages = [a.messages for a in audiences if a.messages is not None]
    return Bar(
        midnight(start),
        midnight(_next(start, step)),
        weighted / covered if covered else None,
        top.peak_viewers if top else None,
        top.peak_at if top else None,
        sum(a.live_seconds or 0 for a in audiences),
        sum(messages) if messages else None,
        covered / due if due else None,
    )


def days_chart(
    days: Sequence[ChannelDay],
    from_at: datetime,
    to_at: datetime,
    data_until: datetime | None,
    mode: Mode,
) -> dict[str, Any]:
    """Average and peak viewers per step; a step that still runs is drawn dotted."""
    colours = PALETTES[mode]
    step = step_of(from_at, to_at)
    bars = bars_of(days, step)
    # a week or month that begins before the period, or ends after it, is drawn whole
    first = min([from_at, *(bar.from_at for bar in bars[:1])])
    last = max([to_at, *(bar.to_at for bar in bars[-1:])])
    x = specs.time_x(
        "at",
        first,
        last,
        labels=specs.MONTH_LABELS if step == "month" else specs.DAY_LABELS,
        grid=False,
        values=_ticks(first, last, step),
    )
    largest = max((bar.peak_viewers or 0 for bar in bars), default=0)
    data = specs.Datasets()
    rows = [_row(bar, step, data_until) for bar in bars]
    base = data.add("days", rows).encode(
        x=x, x2="until", tooltip=specs.tooltips({"when": f"{step.capitalize()} (UTC)", **_TOOLTIP})
    )
    is_running = any(row["is_running"] for row in rows)
    layers = [
        *_bar_layers(base, largest, is_running, colours),
        *_peak_label(bars, x, largest, data, colours),
    ]
    return specs.specification(layers, data, height=_HEIGHT, mode=mode, is_y_shared=True)


def _y(field_name: str, largest: int) -> alt.Y:
    return specs.count_y(field_name, _PANEL, largest * 1.05, 4)


def _bar_layers(
    base: alt.Chart, largest: int, is_running: bool, colours: Palette
) -> list[alt.Chart]:
    """A bar for the average, dotted while its time still runs, and a tick for the peak."""
    bars = base.encode(y=_y("average", largest), y2=alt.value(_HEIGHT))
    look = {"cornerRadiusTopLeft": 3, "cornerRadiusTopRight": 3, "color": colours.series[0]}
    dotted = {"fillOpacity": 0.2, "stroke": colours.series[0], "strokeDash": [3, 3]}
    tick = base.mark_rule(color=colours.series[2], strokeWidth=3, strokeCap="round")
    layers = [
        bars.transform_filter("!datum.is_running").mark_rect(**look, fillOpacity=0.9),
        tick.encode(y=_y("peak", largest)),
    ]
    if is_running:
        layers.append(bars.transform_filter("datum.is_running").mark_rect(**look, **dotted))
    return layers


def _peak_label(
    bars: Sequence[Bar], x: alt.X, largest: int, data: specs.Datasets, colours: Palette
) -> list[alt.Chart]:
    """The period's peak, written over its bar."""
    top = next((bar for bar in bars if bar.peak_viewers == largest), None)
    if top is None:
        return []
    place = (top.from_at - bars[0].from_at) / ((bars[-1].to_at - bars[0].from_at) or timedelta(1))
    is_late = place > 0.5
    row = {
        "at": specs.epoch_ms(top.to_at if is_late else top.from_at),
        "peak": largest,
        "text": f"peak {wording.count(largest)}",
    }
    return [
        data.add("top", [row])
        .mark_text(
            align="right" if is_late else "left",
            baseline="bottom",
            dy=-5,
            fontSize=13,
            fontWeight=600,
            color=colours.text,
        )
        .encode(
            x=x,
            y=_y("peak", largest),
            text=alt.Text("text", type="nominal"),
        )
    ]


def _ticks(from_at: datetime, to_at: datetime, step: Step) -> alt.ExprRef:
    """Label places: the middles of at most about ten steps, evenly spaced."""
    middles: list[int] = []
    start = _start(from_at.date(), step)
    while midnight(start) < to_at:
        following = _next(start, step)
        middle = midnight(start) + (midnight(following) - midnight(start)) / 2
        middles.append(specs.epoch_ms(middle))
        start = following
    return alt.ExprRef(str(middles[:: max(1, round(len(middles) / _LABELS))]))


def _row(bar: Bar, step: Step, data_until: datetime | None) -> dict[str, Any]:
    margin = (bar.to_at - bar.from_at) * 0.14
    is_running = data_until is not None and bar.from_at <= wording.utc(data_until) < bar.to_at
    when = f"{bar.from_at:%a} {wording.day(bar.from_at)}"
    if step != "day":
        when = wording.days(bar.from_at, bar.to_at)
    peak_at = "" if bar.peak_at is None else f", {wording.moment(bar.peak_at)}"
    return {
        "at": specs.epoch_ms(bar.from_at + margin),
        "until": specs.epoch_ms(bar.to_at - margin),
        "average": bar.average_viewers,
        "peak": bar.peak_viewers,
        "is_running": is_running,
        "when": when + (", so far" if is_running else ""),
        "average_text": wording.count(bar.average_viewers),
        "peak_text": wording.count(bar.peak_viewers) + peak_at,
        "live_text": wording.duration(bar.live_seconds),
        "messages_text": wording.count(bar.messages),
        "coverage_text": wording.percent(bar.coverage_ratio),
    }
