"""A stream's chart: where its line breaks, how its panels share one axis, what its texts say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt
import pytest

from aethex.dashboards import charts
from aethex.dashboards.gaps import Gap, gaps_between
from aethex.dashboards.specs import epoch_ms
from aethex.dashboards.theme import PALETTES
from aethex.lake.analytics import Audience, ChartPoint, SegmentSummary, ViewersChart

START = datetime(2026, 3, 2, 18, tzinfo=UTC)


def minute(n: float) -> datetime:
    return START + timedelta(minutes=n)


def audience(**values: Any) -> Audience:
    nothing = dict.fromkeys(Audience.__slots__)
    return Audience(**{**nothing, "samples": 0, "null_samples": 0, **values})


def chart(points: list[ChartPoint], *, bucket_seconds: float | None = None) -> ViewersChart:
    top = max((p for p in points if p.viewers), key=lambda p: p.viewers or 0, default=None)
    messages = [p.messages for p in points if p.messages is not None]
    summary = audience(
        peak_viewers=top.viewers if top else None,
        peak_at=top.at if top else None,
        messages=sum(messages) if messages else None,
    )
    return ViewersChart("st_1", START, minute(60), bucket_seconds, points, summary)


def counted(*minutes: float, viewers: int = 100, messages: int | None = 3) -> list[ChartPoint]:
    return [ChartPoint(minute(n), viewers, messages) for n in minutes]


def segment(name: str, begin: float, end: float) -> SegmentSummary:
    return SegmentSummary(
        f"sseg_{name}", "st_1", 1, name, None, None, minute(begin), minute(end), audience()
    )


def view(shown: ViewersChart, *segments: SegmentSummary, selected: str | None = None) -> Any:
    measured = [p.at for p in shown.points if p.viewers is not None]
    found = gaps_between(shown.from_at, shown.to_at, measured)
    return charts.StreamView(shown, segments, found, minute(60), selected)


def runs(shown: charts.StreamView) -> list[list[float]]:
    """The minutes of each unbroken stretch of the line."""
    rows = charts.viewer_rows(shown)
    return [
        [(row["at"] - epoch_ms(START)) / 60_000 for row in rows if row["run"] == run]
        for run in sorted({row["run"] for row in rows})
    ]


def test_a_failed_count_within_150_seconds_does_not_break_the_line() -> None:
    points = [*counted(*range(10)), ChartPoint(minute(10), None, 3), *counted(*range(11, 60))]
    assert [stretch[0] for stretch in runs(view(chart(points)))] == [0]


def test_a_gap_breaks_the_line_exactly_where_nothing_holds() -> None:
    points = counted(*range(10), *range(30, 60))
    first, second = runs(view(chart(points)))
    assert (first[-1], second[0]) == (11.5, 30)


def test_a_gap_between_buckets_is_as_wide_as_it_was_long() -> None:
    points = [ChartPoint(minute(n), 100, 3) for n in (4, 12, 44, 52)]
    shown = charts.StreamView(
        chart(points, bucket_seconds=600), (), [Gap(minute(20), minute(35))], minute(60)
    )
    first, second = runs(shown)
    assert (first[-1], second[0]) == (20, 35)


def test_the_last_sample_is_drawn_as_long_as_it_holds() -> None:
    points = counted(*range(58))
    assert runs(view(chart(points)))[0][-1] == 59.5


def test_a_chart_without_any_viewers_has_no_line_and_no_peak() -> None:
    spec = charts.stream_chart(view(chart([ChartPoint(START, None, 3)])), "light")
    assert len(spec["datasets"]["viewers"]) == 0
    assert "peak" not in spec["datasets"]


def test_messages_are_a_rate_also_where_a_point_is_a_bucket() -> None:
    bucketed = charts.point_rows(chart(counted(4, 12, messages=50), bucket_seconds=600), [])
    assert [row["per_minute"] for row in bucketed] == [5, 5]
    each = charts.point_rows(chart(counted(0, 1, 2, messages=7)), [])
    assert [row["per_minute"] for row in each] == [7, 7, 7]


def test_a_point_says_what_was_not_measured_and_which_segment_ran() -> None:
    points = [*counted(1), ChartPoint(minute(2), None, None), *counted(31)]
    rows = charts.point_rows(chart(points), [segment("Main", 0, 30)])
    assert [row["viewers_text"] for row in rows] == ["100", "not measured", "100"]
    assert rows[1]["messages_text"] == "not measured"
    assert [row["segment"] for row in rows] == ["Main", "Main", "none"]


def test_bands_are_cut_at_the_ends_of_the_view_and_the_chosen_one_stands_out() -> None:
    shown = view(
        chart(counted(*range(60))),
        segment("Before", -30, 10),
        segment("Main", 10, 50),
        segment("Far", 70, 80),
        selected="sseg_Main",
    )
    rows = charts.segment_rows(shown, PALETTES["dark"])
    assert [(row["title"], row["at"], row["until"]) for row in rows] == [
        ("Before", epoch_ms(START), epoch_ms(minute(10))),
        ("Main", epoch_ms(minute(10)), epoch_ms(minute(50))),
    ]
    assert rows[1]["fill"] == PALETTES["dark"].accent


def test_panels_without_data_take_no_room() -> None:
    everything = view(chart(counted(*range(60))), segment("Main", 0, 60))
    silent = view(chart(counted(*range(60), messages=None)), segment("Main", 0, 60))
    plain = view(chart(counted(*range(60), messages=None)))
    heights = [charts.stream_chart(v, "light")["height"] for v in (everything, silent, plain)]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 3


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_specification_is_valid_vega_lite_and_its_rows_travel_apart(mode: Any) -> None:
    points = [*counted(*range(10)), *counted(*range(30, 58))]
    spec = charts.stream_chart(view(chart(points), segment("Main", 0, 30)), mode)
    rows = spec.pop("datasets")
    alt.LayerChart.from_dict(spec)  # validates
    named = {data["name"] for data in all_data(spec)}
    assert named == set(rows)
    assert all(len(frame) <= len(points) + 4 for frame in rows.values())


def test_the_stretches_of_an_area_are_not_stacked_into_the_gap_between_them() -> None:
    spec = charts.stream_chart(view(chart(counted(*range(10), *range(30, 60)))), "light")
    areas = [layer for layer in all_layers(spec) if layer["mark"].get("type") == "area"]
    assert len(areas) == 2
    assert [area["encoding"]["y"]["stack"] for area in areas] == [None, None]


def all_layers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    if "layer" not in spec:
        return [spec]
    return [found for layer in spec["layer"] for found in all_layers(layer)]


def all_data(spec: Any) -> list[dict[str, Any]]:
    if isinstance(spec, list):
        return [found for item in spec for found in all_data(item)]
    if not isinstance(spec, dict):
        return []
    own = [spec["data"]] if "data" in spec else []
    return own + [found for value in spec.values() for found in all_data(value)]
