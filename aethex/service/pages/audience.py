"""The audience panel of a VOD page: how many watched live, on the video's own time axis.

What belongs here: from samples on the wall clock to a drawing over media time. What does not: the
numbers themselves (`aethex.lake.analytics`). A panel is extra: whatever fails here, the page does
without it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from aethex.lake import analytics
from aethex.lake.analytics import ChartPoint, NotInBuild, ViewersChart
from aethex.lake.answers import SAMPLE_HOLD
from aethex.library import Vod
from aethex.library.listings import RunSpan
from aethex.service.marts import Marts
from aethex.service.pages.wording import duration_text, exact_date_text
from aethex.store import StoreError

WIDTH, HEIGHT = 1000, 100
"""The drawing's own units; the page stretches it."""

_MAX_POINTS = 240
_CURVE_POINTS = 3
"""Fewer counts than this are said in numbers only: they make no curve."""

_TOP = 22  # room above the peak for its label

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MediaPoint:
    """Viewers at a second of the video."""

    second: float
    viewers: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the time axis: its place in percent of the width, and its text."""

    x: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class AudienceView:
    """What the panel shows. Paths are in WIDTH x HEIGHT, the peak's place in percent.

    has_curve: whether there are enough counts for a curve; else the numbers are all.
    """

    has_curve: bool
    line: str
    area: str
    peak_x: float
    peak_y: float
    peak_anchor: str
    ticks: tuple[Tick, ...]
    peak_second: float
    peak_text: str
    peak_clock: str
    average_text: str | None
    messages_text: str | None
    coverage_text: str
    length_seconds: float
    fresh_text: str | None
    points_json: str


def audience_of(marts: Marts, vod: Vod, runs: Sequence[RunSpan]) -> AudienceView | None:
    """The panel, or None where nothing was measured while the video ran."""
    length = sum(run.duration_ms for run in runs) / 1000
    if not runs or length <= 0:
        return None
    end = runs[-1].started_at + timedelta(milliseconds=runs[-1].duration_ms)
    try:
        opened = marts.current_or_none()
        if opened is None:
            return None
        begin = runs[0].started_at

        def question(con: duckdb.DuckDBPyConnection) -> ViewersChart:
            return analytics.viewers_chart(con, vod.stream_id, begin, end, _MAX_POINTS)

        chart = opened.answer(("audience", vod.stream_id, begin, end), question)
    except (NotInBuild, ValueError):
        return None  # nothing was measured
    except (StoreError, OSError, duckdb.Error):
        _log.warning("The audience of %s could not be read", vod.id, exc_info=True)
        return None
    return draw_audience(chart, runs, length, opened.fresh_until)


def draw_audience(
    chart: ViewersChart, runs: Sequence[RunSpan], length: float, fresh_until: datetime | None
) -> AudienceView | None:
    """The panel of a chart over a video of `length` seconds; None without a single count."""
    points = list(_on_media_time(chart.points, runs))
    counted = [(point.second, point.viewers) for point in points if point.viewers is not None]
    if not counted:
        return None
    peak_second, peak = max(counted, key=lambda pair: (pair[1], -pair[0]))
    gap = max(SAMPLE_HOLD.total_seconds(), 2 * (chart.bucket_seconds or 0))
    pieces = [
        [_place(second, viewers, length, peak) for second, viewers in piece]
        for piece in _pieces(points, gap)
    ]
    summary = chart.summary
    x, y = _place(peak_second, peak, length, peak)
    return AudienceView(
        has_curve=len(counted) >= _CURVE_POINTS,
        line="".join(_line(piece) for piece in pieces),
        area="".join(_area(piece) for piece in pieces),
        peak_x=x / WIDTH * 100,
        peak_y=y / HEIGHT * 100,
        peak_anchor=_anchor(x / WIDTH),
        ticks=_ticks(length),
        peak_second=round(peak_second, 3),
        peak_text=f"{peak:,}",
        peak_clock=duration_text(round(peak_second * 1000)) or "0:00",
        average_text=None if summary.average_viewers is None else f"{summary.average_viewers:,.0f}",
        messages_text=None if summary.messages is None else f"{summary.messages:,}",
        coverage_text=_coverage_text(summary.coverage_ratio),
        length_seconds=round(length, 3),
        fresh_text=None if fresh_until is None else exact_date_text(fresh_until),
        points_json=json.dumps([[round(point.second, 1), point.viewers] for point in points]),
    )


def _on_media_time(points: Sequence[ChartPoint], runs: Sequence[RunSpan]) -> Iterator[MediaPoint]:
    """The points that fall into a run, at their second of the video."""
    before = 0.0
    spans = []
    for run in runs:
        spans.append((run.started_at, run.duration_ms / 1000, before))
        before += run.duration_ms / 1000
    for point in points:
        for started_at, length, offset in spans:
            second = (point.at - started_at).total_seconds()
            if 0 <= second < length:
                yield MediaPoint(offset + second, point.viewers)
                break


def _pieces(points: Sequence[MediaPoint], gap: float) -> list[list[tuple[float, int]]]:
    """The counts in pieces that are broken where none came for longer than one holds."""
    pieces: list[list[tuple[float, int]]] = []
    last: float | None = None
    for point in points:
        if point.viewers is None:
            continue
        if last is None or point.second - last > gap:
            pieces.append([])
        pieces[-1].append((point.second, point.viewers))
        last = point.second
    return pieces


def _place(second: float, viewers: int, length: float, peak: int) -> tuple[float, float]:
    return (
        round(second / length * WIDTH, 1),
        round(HEIGHT - viewers / max(peak, 1) * (HEIGHT - _TOP), 1),
    )


def _line(piece: Sequence[tuple[float, float]]) -> str:
    if len(piece) == 1:  # a single count between gaps is a short stroke, not nothing
        x, y = piece[0]
        return f"M{x - 2:g} {y:g}H{x + 2:g}"
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in piece)


def _area(piece: Sequence[tuple[float, float]]) -> str:
    if len(piece) == 1:
        return ""
    return (
        f"M{piece[0][0]:g} {HEIGHT}L" + "L".join(f"{x:g} {y:g}" for x, y in piece) + f"V{HEIGHT}Z"
    )


def _ticks(length: float) -> tuple[Tick, ...]:
    """Five marks from the begin to the end, fewer where they would repeat."""
    texts = [duration_text(round(length * 250 * n)) or "" for n in range(5)]
    return tuple(
        Tick(25.0 * n, _anchor(n / 4), text)
        for n, text in enumerate(texts)
        if text not in texts[:n]
    )


def _anchor(share: float) -> str:
    """How SVG text at this share of the width stays inside."""
    return "start" if share < 0.1 else "end" if share > 0.9 else "middle"


def _coverage_text(ratio: float | None) -> str:
    """`95.4 %`; never 100 % unless it is whole."""
    if ratio is None:
        return "not measured"
    percent = min(ratio, 1) * 100
    return "100 %" if percent >= 100 else f"{min(percent, 99.9):.1f} %"
