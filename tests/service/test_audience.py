"""The audience panel: from samples on the wall clock to a drawing over the video's own time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from aethex.lake.analytics import Audience, ChartPoint, ViewersChart
from aethex.library.listings import RunSpan
from aethex.service.pages.audience import AudienceView, draw_audience
from tests.service.content import AT


def chart(counts: list[tuple[float, int | None]], coverage: float | None = 0.954) -> ViewersChart:
    """A chart of these (second, viewers)."""
    points = [ChartPoint(AT + timedelta(seconds=second), count, None) for second, count in counts]
    audience = Audience(
        live_seconds=600,
        covered_seconds=600,
        viewer_seconds=1,
        average_viewers=1234.5,
        coverage_ratio=coverage,
        peak_viewers=1,
        peak_at=AT,
        messages=None,
        samples=len(points),
        null_samples=0,
    )
    return ViewersChart("st_x", AT, AT + timedelta(seconds=600), None, points, audience)


def run(started_after: float, seconds: float) -> RunSpan:
    return RunSpan("run_x", AT + timedelta(seconds=started_after), int(seconds * 1000))


def drawn(counts: list[tuple[float, int | None]], *runs: RunSpan) -> AudienceView:
    spans = runs or (run(0, 600),)
    length = sum(span.duration_ms for span in spans) / 1000
    view = draw_audience(chart(counts), spans, length, AT)
    assert view is not None
    return view


def test_the_peak_is_marked_where_the_video_shows_it() -> None:
    view = drawn([(0, 100), (60, 1200), (120, 1200), (180, 300)])
    assert (view.peak_text, view.peak_clock, view.peak_second) == ("1,200", "1:00", 60)
    assert view.peak_x == pytest.approx(10)


def test_a_break_between_runs_takes_no_time_of_the_video() -> None:
    view = drawn([(30, 1), (90, 2), (150, 3), (230, 9)], run(0, 60), run(200, 60))
    # the second and third sample fell into the break; the fourth is 30 s into the second run
    assert json.loads(view.points_json) == [[30.0, 1], [90.0, 9]]


def test_the_line_is_broken_where_no_count_holds() -> None:
    held = drawn([(0, 5), (60, None), (120, 5)])
    assert held.line.count("M") == 1
    broken = drawn([(0, 5), (60, 6), (400, 5), (460, 5)])
    assert broken.line.count("M") == 2
    assert broken.area.count("Z") == 2


def test_a_single_count_between_gaps_is_seen() -> None:
    assert "H" in drawn([(0, 5), (60, 6), (300, 5)]).line


def test_fewer_than_three_counts_make_no_curve() -> None:
    assert not drawn([(0, 5), (60, None), (120, 5)]).has_curve
    assert drawn([(0, 5), (60, 6), (120, 5)]).has_curve


def test_without_a_count_there_is_no_panel() -> None:
    assert draw_audience(chart([(0, None)]), [run(0, 600)], 600, AT) is None
    assert draw_audience(chart([]), [run(0, 600)], 600, AT) is None


def test_nobody_watching_is_a_count_too() -> None:
    assert drawn([(0, 0), (60, 0)]).peak_text == "0"


def test_coverage_is_never_rounded_up_to_whole() -> None:
    texts = [
        draw_audience(chart([(0, 1)], coverage), [run(0, 600)], 600, None)
        for coverage in (1.0, 0.9999, 0.954, None)
    ]
    assert [view.coverage_text for view in texts if view] == [
        "100 %",
        "99.9 %",
        "95.4 %",
        "not measured",
    ]


def test_the_axis_says_no_time_twice() -> None:
    assert [tick.text for tick in drawn([(0, 1)]).ticks] == [
        "0:00",
        "2:30",
        "5:00",
        "7:30",
        "10:00",
    ]
    short = [tick.text for tick in drawn([(0, 1)], run(0, 1.5)).ticks]
    assert len(short) == len(set(short))
