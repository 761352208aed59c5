"""What all charts share: time and count axes, and specifications whose rows travel apart from them.

What belongs here: pieces of Vega-Lite that more than one chart uses. What does not: a chart.

Times are epoch milliseconds on a UTC scale, because Vega takes a time without a zone for the
reader's own. Rows are named datasets: inline they would be validated one by one, which costs more
than drawing them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import altair as alt
import polars as pl

from aethex.dashboards import wording
from aethex.dashboards.theme import Mode, chart_config

LABELS_WIDTH = 46
"""Pixels left of every plot, so that charts under each other line up."""

# Midnights name the day, other ticks the time: UTC whatever the browser's zone.
TIME_LABELS = (
    "utchours(datum.value) == 0 && utcminutes(datum.value) == 0"
    " ? utcFormat(datum.value, '%a %-d %b') : utcFormat(datum.value, '%H:%M')"
)
DAY_LABELS = "utcFormat(datum.value, '%-d %b')"
MONTH_LABELS = "utcFormat(datum.value, '%b %Y')"
_COUNT_LABELS = (
    "datum.value >= 1e6 ? format(datum.value / 1e6, ',.2~f') + ' M'"
    " : datum.value >= 1e4 ? format(datum.value / 1e3, ',.1~f') + ' k'"
    " : format(datum.value, ',.2~f')"
)


@dataclass(slots=True)
class Datasets:
    """The rows of one chart by name."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, name: str, rows: list[dict[str, Any]]) -> alt.Chart:
        """Keep the rows under a name that is new, and begin a layer over them."""
        assert name not in self.rows
        self.rows[name] = rows
        return alt.Chart(alt.NamedData(name=name))


def specification(
    layers: list[Any], datasets: Datasets, *, height: int, mode: Mode, is_y_shared: bool
) -> dict[str, Any]:
    """The layers as one Vega-Lite specification; `height` (pixels) is without the axis."""
    chart = alt.layer(*layers).properties(
        height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    if not is_y_shared:
        chart = chart.resolve_scale(y="independent")
    spec = chart.configure(**chart_config(mode)).to_dict(validate=False)
    spec["datasets"] = {
        name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in datasets.rows.items()
    }
    return spec


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970, UTC."""
    return round(wording.utc(at).timestamp() * 1000)


def time_x(
    field_name: str, from_at: datetime, to_at: datetime, *, labels: str, **axis: Any
) -> alt.X:
    """A UTC time axis over exactly `[from_at, to_at]`."""
    # an expression, because lists of numbers do not merge with the domain of a layer that has x2
    domain = alt.ExprRef(f"[{epoch_ms(from_at)}, {epoch_ms(to_at)}]")
    return alt.X(
        field_name,
        type="temporal",
        scale=alt.Scale(type="utc", domain=domain, nice=False),
        axis=alt.Axis(labelExpr=labels, labelOverlap="greedy", labelFlush=True, title=None, **axis),
    )


def count_y(field_name: str, panel: tuple[int, int], largest: float, ticks: int) -> alt.Y:
    """A count's axis from zero, drawn between two heights of the view (pixels from its top)."""
    return alt.Y(
        field_name,
        type="quantitative",
        stack=None,  # areas broken by a gap are one area: stacked they would lean into it
        scale=alt.Scale(domain=[0, max(largest, 1)], range=[panel[1], panel[0]], nice=False),
        axis=alt.Axis(
            labelExpr=_COUNT_LABELS,
            orient="left",
            grid=True,
            tickCount=ticks,
            minExtent=LABELS_WIDTH,
            maxExtent=LABELS_WIDTH,
            title=None,
        ),
    )


def tooltips(labels: dict[str, str]) -> list[alt.Tooltip]:
    """Tooltip lines of texts: field name to what it is called."""
    return [alt.Tooltip(name, type="nominal", title=title) for name, title in labels.items()]
