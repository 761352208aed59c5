"""A stream's chart: viewers over time, its segments and its chat under them.

What belongs here: pure functions from the lake's answers to the chart. What does not: reading data,
page layout, axes that other charts share (`specs`).

The chart is one view whose panels (viewers, segments, messages) are ranges of its height: they
share the time axis, the crosshair and the width to the pixel, on any screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import altair as alt

from aethex.dashboards import specs, wording
from aethex.dashboards.gaps import Gap
from aethex.dashboards.specs import Datasets, epoch_ms
from aethex.dashboards.theme import PALETTES, Mode, Palette
from aethex.lake.analytics import ChartPoint, SegmentSummary, ViewersChart
from aethex.lake.answers import SAMPLE_HOLD

# Panels as (top, bottom) in pixels of the view; without chat, or without segments, those below are
# left out.
_VIEWERS = (18, 236)
_BANDS = (266, 290)
_MESSAGES_HEIGHT = 60
_CAPTION_HEIGHT = 32


@dataclass(frozen=True, slots=True)
class StreamView:
    """What a stream's chart shows: `[from_at, to_at)` of its samples, segments and gaps."""

    chart: ViewersChart
    segments: Sequence[SegmentSummary]
    gaps: Sequence[Gap]
    ended_at: datetime
    selected_segment_id: str | None = None

    @property
    def messages_panel(self) -> tuple[int, int] | None:
        """Where chat is drawn, None where it was not measured."""
        if self.chart.summary.messages is None:
            return None
        top = (_BANDS if self.segments else _VIEWERS)[1] + _CAPTION_HEIGHT
        return top, top + _MESSAGES_HEIGHT

    @property
    def height(self) -> int:
        """Pixels of all panels."""
        return (self.messages_panel or (_BANDS if self.segments else _VIEWERS))[1]


def stream_chart(view: StreamView, mode: Mode) -> dict[str, Any]:
    """Viewers, segments and messages of a stream over one time axis, as a specification."""
    colours = PALETTES[mode]
    points = point_rows(view.chart, view.segments)
    data = Datasets()
    layers = [
        *_gap_layers(view, data, colours),
        *_message_layers(points, view, data, colours),
        *_viewer_layers(view, data, colours),
        *_crosshair_layers(points, view, data, colours),
        *_segment_layers(view, data, colours),
    ]
    return specs.specification(layers, data, height=view.height, mode=mode, is_y_shared=False)


def point_rows(chart: ViewersChart, segments: Sequence[SegmentSummary]) -> list[dict[str, Any]]:
    """The chart's points with their tooltip's texts; `run` numbers unbroken stretches of chat."""
    rows: list[dict[str, Any]] = []
    interval = _interval_seconds(chart)
    longest = SAMPLE_HOLD + timedelta(seconds=2 * (chart.bucket_seconds or 0))
    run = 0
    for before, point in zip([None, *chart.points], chart.points, strict=False):
        if before is not None and point.at - before.at > longest:
            run += 1
        rows.append(_point_row(point, interval, segments) | {"run": run})
    return rows


def _point_row(
    point: ChartPoint, interval: float, segments: Sequence[SegmentSummary]
) -> dict[str, Any]:
    per_minute = None if point.messages is None else point.messages * 60 / interval
    segment = segment_at(segments, point.at)
    return {
        "at": epoch_ms(point.at),
        "viewers": point.viewers,
        "per_minute": per_minute,
        "when": wording.moment(point.at, zone=True),
        "viewers_text": wording.count(point.viewers),
        "messages_text": wording.NOT_MEASURED if per_minute is None else wording.rate(per_minute),
        "segment": segment.title if segment else "none",
    }


def _interval_seconds(chart: ViewersChart) -> float:
    """Seconds that a point's messages cover: the bucket, else the usual distance of two samples."""
    if chart.bucket_seconds:
        return chart.bucket_seconds
    steps = sorted(
        (after.at - before.at).total_seconds()
        for before, after in zip(chart.points, chart.points[1:], strict=False)
    )
    return steps[len(steps) // 2] if steps else 60.0


def segment_at(segments: Sequence[SegmentSummary], at: datetime) -> SegmentSummary | None:
    """The segment that runs at an instant; the later one where two overlap."""
    for segment in reversed(segments):
        if segment.started_at <= at and (segment.ended_at is None or at < segment.ended_at):
            return segment
    return None


def _x(view: StreamView, name: str = "at") -> alt.X:
    return specs.time_x(
        name,
        view.chart.from_at,
        view.chart.to_at,
        labels=specs.TIME_LABELS,
        grid=False,
        tickCount=alt.ExprRef("max(3, width / 125)"),
    )


def _caption(text: str, y: int, data: Datasets, colours: Palette) -> alt.Chart:
    """A panel's name above its left edge."""
    return (
        data.add(f"caption_{y}", [{"text": text}])
        .mark_text(align="left", baseline="bottom", color=colours.muted, fontWeight=500)
        .encode(x=alt.value(0), y=alt.value(y), text=alt.Text("text", type="nominal"))
    )


def _viewer_layers(view: StreamView, data: Datasets, colours: Palette) -> list[Any]:
    summary = view.chart.summary
    y = specs.count_y("viewers", _VIEWERS, (summary.peak_viewers or 1) * 1.06, 4)
    base = data.add("viewers", viewer_rows(view)).encode(
        x=_x(view), y=y, detail=alt.Detail("run", type="nominal")
    )
    fade = alt.Gradient(
        gradient="linear",
        x1=0,
        x2=0,
        y1=0,
        y2=1,
        stops=[
            alt.GradientStop(offset=0, color=colours.series[0] + "4d"),
            alt.GradientStop(offset=1, color=colours.series[0] + "05"),
        ],
    )
    line = base.mark_line(color=colours.series[0], strokeWidth=1.75, strokeJoin="round")
    # one group, so that its layers share the axis
    return [
        alt.layer(
            base.mark_area(color=fade, line=False), line, *_peak_layers(view, y, data, colours)
        )
    ]


def viewer_rows(view: StreamView) -> list[dict[str, Any]]:
    """The line's rows: each measured point, with a new `run` after each gap.

    A run reaches from the gap before it to the gap after it, so that a gap is exactly as wide as it
    was long, also where a point stands for a whole bucket.
    """
    measured = [point for point in view.chart.points if point.viewers is not None]
    rows: list[dict[str, Any]] = []
    run = 0
    for point, following in zip(measured, [*measured[1:], None], strict=False):
        rows.append(_line_row(point.at, point.viewers, run))
        until = following.at if following else view.chart.to_at
        between = [gap for gap in view.gaps if point.at <= gap.from_at and gap.to_at <= until]
        if between:
            rows.append(_line_row(between[0].from_at, point.viewers, run))
            run += 1
        if between and following:
            rows.append(_line_row(between[-1].to_at, following.viewers, run))
        if following is None and not between:
            rows.append(_line_row(min(until, point.at + SAMPLE_HOLD), point.viewers, run))
    return rows


def _line_row(at: datetime, viewers: int | None, run: int) -> dict[str, Any]:
    return {"at": epoch_ms(at), "viewers": viewers, "run": run}


def _peak_layers(view: StreamView, y: alt.Y, data: Datasets, colours: Palette) -> list[alt.Chart]:
    summary = view.chart.summary
    if summary.peak_at is None:
        return []
    whole = (view.chart.to_at - view.chart.from_at).total_seconds() or 1
    is_late = (summary.peak_at - view.chart.from_at).total_seconds() / whole > 0.75
    row = {
        "at": epoch_ms(summary.peak_at),
        "viewers": summary.peak_viewers,
        "text": f"peak {wording.count(summary.peak_viewers)}",
    }
    base = data.add("peak", [row]).encode(x=_x(view), y=y)
    return [
        base.mark_rule(color=colours.muted, strokeDash=[3, 4], opacity=0.8).encode(
            y2=alt.value(_VIEWERS[1])
        ),
        base.mark_circle(size=62, color=colours.series[0], opacity=1),
        base.mark_text(
            align="right" if is_late else "left",
            baseline="bottom",
            dx=-8 if is_late else 8,
            dy=-1,
            fontSize=13,
            fontWeight=600,
            color=colours.text,
        ).encode(text=alt.Text("text", type="nominal")),
    ]


def _message_layers(
    points: list[dict[str, Any]], view: StreamView, data: Datasets, colours: Palette
) -> list[alt.Chart]:
    panel = view.messages_panel
    if panel is None:
        return []
    rows = _message_rows(points, view)
    largest = max((row["per_minute"] for row in rows), default=1)
    area = data.add("messages", rows).mark_area(
        interpolate="step-after", color=colours.series[1], opacity=0.75, line=False
    )
    return [
        area.encode(
            x=_x(view),
            y=specs.count_y("per_minute", panel, largest, 2),
            detail=alt.Detail("run", type="nominal"),
        ),
        _caption("Chat messages per minute", panel[0] - 8, data, colours),
    ]


def _message_rows(points: list[dict[str, Any]], view: StreamView) -> list[dict[str, Any]]:
    """The chat area's steps, each run drawn on to where its last count ends."""
    counted = [row for row in points if row["per_minute"] is not None]
    interval = round(_interval_seconds(view.chart) * 1000)
    limit = epoch_ms(view.chart.to_at)
    rows: list[dict[str, Any]] = []
    for row, following in zip(counted, [*counted[1:], None], strict=False):
        step = {"at": row["at"], "per_minute": row["per_minute"], "run": row["run"]}
        rows.append(step)
        if following is None or following["run"] != row["run"]:
            rows.append(step | {"at": min(row["at"] + interval, limit)})
    return rows


def _gap_layers(view: StreamView, data: Datasets, colours: Palette) -> list[alt.Chart]:
    if not view.gaps:
        return []
    rows = [
        {
            "at": epoch_ms(gap.from_at),
            "until": epoch_ms(gap.to_at),
            "middle": epoch_ms(gap.from_at + (gap.to_at - gap.from_at) / 2),
            "text": wording.NOT_MEASURED,
        }
        for gap in view.gaps
    ]
    base = data.add("gaps", rows)
    width = "(scale('x', datum.until) - scale('x', datum.at))"
    return [
        base.mark_rect(color=colours.warn, opacity=0.09).encode(
            x=_x(view), x2="until", y=alt.value(_VIEWERS[0]), y2=alt.value(_VIEWERS[1])
        ),
        base.mark_text(
            color=colours.warn,
            fontSize=11,
            angle=alt.ExprRef(f"{width} > 84 ? 0 : 270"),
            opacity=alt.ExprRef(f"{width} > 14 ? 1 : 0"),
        ).encode(
            x=_x(view, "middle"),
            y=alt.value((_VIEWERS[0] + _VIEWERS[1]) // 2),
            text=alt.Text("text", type="nominal"),
        ),
    ]


def segment_rows(view: StreamView, colours: Palette) -> list[dict[str, Any]]:
    """The segments inside the view, cut at its ends, with colours and tooltip texts."""
    rows: list[dict[str, Any]] = []
    for index, segment in enumerate(view.segments):
        end = segment.ended_at or view.ended_at
        shown = max(segment.started_at, view.chart.from_at), min(end, view.chart.to_at)
        if shown[0] >= shown[1]:
            continue
        is_selected = segment.segment_id == view.selected_segment_id
        rows.append(
            {
                "segment_id": segment.segment_id,
                "at": epoch_ms(shown[0]),
                "until": epoch_ms(shown[1]),
                "title": segment.title,
                "fill": (colours.accent, colours.accent_soft, colours.band)[
                    0 if is_selected else 1 + index % 2
                ],
                "ink": colours.on_accent if is_selected else colours.text,
                "category": segment.category_name or "none",
                "when": wording.span(segment.started_at, end) + " UTC",
                "length": wording.clock((end - segment.started_at).total_seconds()),
                "peak": wording.count(segment.audience.peak_viewers),
                "average": wording.count(segment.audience.average_viewers),
                "messages": wording.count(segment.audience.messages),
            }
        )
    return rows


def _segment_layers(view: StreamView, data: Datasets, colours: Palette) -> list[alt.Chart]:
    if not view.segments:
        return []
    base = data.add("segments", segment_rows(view, colours))
    chosen = alt.selection_point(name="segment", fields=["segment_id"], on="click", toggle=False)
    labels = {
        "title": "Segment",
        "category": "Category",
        "when": "When",
        "length": "Length",
        "peak": "Peak viewers",
        "average": "Average viewers",
        "messages": "Messages",
    }
    bands = base.mark_rect(
        cursor="pointer", cornerRadius=3, stroke=colours.surface, strokeWidth=1
    ).encode(
        x=_x(view),
        x2="until",
        y=alt.value(_BANDS[0]),
        y2=alt.value(_BANDS[1]),
        fill=alt.Fill("fill", type="nominal", scale=None),
        tooltip=specs.tooltips(labels),
        description=alt.Description("title", type="nominal"),
    )
    width = "(scale('x', datum.until) - scale('x', datum.at))"
    names = base.mark_text(
        align="left",
        baseline="middle",
        dx=7,
        fontSize=11,
        aria=False,
        ellipsis="…",
        limit=alt.ExprRef(f"max(1, {width} - 12)"),
        opacity=alt.ExprRef(f"{width} < 40 ? 0 : 1"),
    ).encode(
        x=_x(view),
        y=alt.value((_BANDS[0] + _BANDS[1]) / 2),
        text=alt.Text("title", type="nominal"),
        color=alt.Color("ink", type="nominal", scale=None),
    )
    caption = _caption("Segments", _BANDS[0] - 8, data, colours)
    return [bands.add_params(chosen), names, caption]


def _crosshair_layers(
    points: list[dict[str, Any]], view: StreamView, data: Datasets, colours: Palette
) -> list[alt.Chart]:
    if not points:
        return []
    near = alt.selection_point(
        name="near",
        nearest=True,
        on="pointermove",
        encodings=["x"],
        empty=False,
        clear="pointerout",
    )
    labels = {
        "when": "Time",
        "viewers_text": "Viewers",
        "messages_text": "Messages per minute",
        "segment": "Segment",
    }
    shown = alt.when(near).then(alt.value(1)).otherwise(alt.value(0))
    base = data.add("points", points).encode(x=_x(view), opacity=shown)
    line = base.mark_rule(color=colours.text, strokeWidth=1, aria=False).encode(
        y=alt.value(_VIEWERS[0]), y2=alt.value(view.height), tooltip=specs.tooltips(labels)
    )
    return [line.add_params(near)]
