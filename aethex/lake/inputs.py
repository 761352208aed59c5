"""Which files a model's run reads: its inputs as views over no more than the day needs.

What belongs here: the meaning of each selection of a day that `model.yaml` can name. What does not:
inputs of an hour (`as_of`), running the query (`runner`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from aethex.lake.as_of import open_as_of
from aethex.lake.changes import AFTER_STREAM, DAY, last_day
from aethex.lake.core import Lake
from aethex.lake.dim_tables import DIM_STREAMS, DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import Model, Models, Selection
from aethex.lake.tables import Table
from aethex.lake.views import create_view, data_files, field_ids

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

_EVENTS = {table.name: table for table in EVENT_TABLES.values()}
_NOTHING = "nothing"


def open_inputs(
    lake: Lake, con: duckdb.DuckDBPyConnection, model: Model, span: date, models: Models
) -> int:
    """Make a view of each table that the model reads for that day, or hour (a datetime) of an
    hourly model; returns how many files they have.
    """
    if isinstance(span, datetime):
        return open_as_of(lake, con, model, span, models)
    inputs = _Inputs(lake, con, models, span)
    return sum(inputs.open(name, selection, model) for name, selection in model.reads.items())


class _Inputs:
    """The inputs of one run; each table is opened once, so that all parts see the same of it."""

    def __init__(
        self, lake: Lake, con: duckdb.DuckDBPyConnection, models: Models, day: date
    ) -> None:
        self._lake = lake
        self._con = con
        self._models = models
        self._day = day
        self._opened: dict[str, IcebergTable] = {}
        self._filters: dict[tuple[Selection, bool], str] = {}

    def open(self, name: str, selection: Selection, model: Model) -> int:
        """Make the view of one input; returns how many files it has."""
        table = self._definition(name)
        opened = self._table(table)
        how = (selection, name in _EVENTS)
        if how not in self._filters:
            self._filters[how] = self._filter(selection, model.partition_column, how[1])
        row_filter = self._filters[how]
        files = [] if row_filter == _NOTHING else data_files(opened, row_filter)
        create_view(self._con, table, field_ids(opened), files)
        return len(files)

    def _filter(self, selection: Selection, partition_column: str, is_events: bool) -> str:
        match selection:
            case "whole":
                return "true"
            case "same_partition":
                return f"{partition_column} == '{self._day}'"
            case "same_day":
                return _events_of(self._day, self._day)
            case "days_around":
                return _events_of(self._day - DAY, self._day + DAY)
            case "stream_days":
                return self._covered_by_streams_of_the_day(is_events)
            case "live_streams":
                return self._stream_days_live_on_the_day()
            case "as_of_hour":
                raise AssertionError("hourly models alone read so")

    def _covered_by_streams_of_the_day(self, is_events: bool) -> str:
        """From the first start to some minutes after the last end of the streams; without an end,
        all from the start.
        """
        rows = self._ask_streams(
            "SELECT min(started_at), max(ended_at) + $after, "
            "count(*) FILTER (WHERE ended_at IS NULL) "
            "FROM dim_streams WHERE valid_to IS NULL AND stream_day = $day",
            {"day": self._day, "after": AFTER_STREAM},
        )
        begin, end, open_streams = rows[0]
        if begin is None:
            return _NOTHING
        if is_events:
            since = f"occurred_at >= '{begin.isoformat()}'"
            return since if open_streams else f"{since} and occurred_at <= '{end.isoformat()}'"
        since = f"day >= '{begin.date()}'"
        return since if open_streams else f"{since} and day <= '{last_day(end)}'"

    def _stream_days_live_on_the_day(self) -> str:
        """The stream days of the streams that were, or may have been, live on the day."""
        midnight = datetime.combine(self._day, datetime.min.time())
        rows = self._ask_streams(
            "SELECT DISTINCT stream_day FROM dim_streams "
            "WHERE valid_to IS NULL AND started_at < $to_at "
            "AND (ended_at IS NULL OR ended_at > $from_at OR stream_day = $day) "
            "ORDER BY stream_day",
            {"from_at": midnight, "to_at": midnight + timedelta(days=1), "day": self._day},
        )
        days = ", ".join(f"'{row[0]}'" for row in rows)
        return f"stream_day in ({days})" if rows else _NOTHING

    def _ask_streams(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        opened = self._table(DIM_STREAMS)
        create_view(self._con, DIM_STREAMS, field_ids(opened), data_files(opened))
        return self._con.execute(sql, values).fetchall()

    def _table(self, table: Table) -> IcebergTable:
        if table.name not in self._opened:
            self._opened[table.name] = self._lake.table(table)
        return self._opened[table.name]

    def _definition(self, name: str) -> Table:
        if name in self._models:
            return self._models[name].table
        return DIM_TABLES.get(name) or _EVENTS[name]


def _events_of(first: date, last: date) -> str:
    """Events of those days, both in it."""
    return f"occurred_at >= '{first}T00:00:00' and occurred_at < '{last + DAY}T00:00:00'"
