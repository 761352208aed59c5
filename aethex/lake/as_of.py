"""The lake as it was known at a full hour: what an hourly model reads.

What belongs here: events received before the hour, records as they were then, and models computed
anew from these for the days of a horizon. What does not: which hours are due (`due`), running the
hourly model itself (`runner`), the selections of models keyed by days (`inputs`).

The stored rows of other models hold whatever came in since, also late events of days long past; so
they are not read. Their queries are run again, in memory, on the events that had been received:
the same definitions, and the same rows whenever an hour is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import duckdb

from aethex.lake.changes import DAY
from aethex.lake.core import Lake
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import Model, Models
from aethex.lake.tables import Table
from aethex.lake.views import create_view, data_files, field_ids

_EVENTS = {table.name: table for table in EVENT_TABLES.values()}


def open_as_of(
    lake: Lake, con: duckdb.DuckDBPyConnection, model: Model, hour_at: datetime, models: Models
) -> int:
    """Make a view of each table that the hourly model reads; returns how many files they have.

    `hour_at`: a full hour, naive UTC.
    """
    assert model.hourly is not None
    first_day = hour_at.date() - model.hourly.horizon_days * DAY
    derived = [one for one in models if one.name in _read_below(model, models)]
    below = {name for one in (model, *derived) for name in one.reads}
    files = 0
    for table in (*_EVENTS.values(), *DIM_TABLES.values()):
        if table.name in below:
            # a day more, as models look at the days around the one that they compute
            files += _open_known(lake, con, table, hour_at, first_day - DAY)
    for one in derived:
        columns = ", ".join(f"{c.name} {c.duckdb_type}" for c in one.table.columns)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_known(one.name)} ({columns})")
    for day in _days_with_events(con, below, first_day, hour_at):
        for one in derived:
            _derive(con, one, day)
    for name in below:
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {_known(name)}")
    return files


def could_have_rows(lake: Lake, model: Model, day: date, models: Models) -> bool:
    """Whether there are events within the horizon of any hour of that day."""
    assert model.hourly is not None
    below = {
        name for one in (model.name, *_read_below(model, models)) for name in models[one].reads
    }
    first_day = day - (model.hourly.horizon_days + 1) * DAY
    span = _span(first_day, datetime.combine(day + DAY, datetime.min.time()))
    tables = (table for name, table in _EVENTS.items() if name in below)
    return any(data_files(lake.table(table), span) for table in tables)


def _known(name: str) -> str:
    """What is known of a table at the hour, all days of it."""
    return f"known_{name}"


def _read_below(model: Model, models: Models) -> set[str]:
    """The models that a model is made of, through all that it reads."""
    direct = {name for name in model.reads if name in models}
    return direct.union(*(_read_below(models[name], models) for name in direct))


def _open_known(
    lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, hour_at: datetime, first_day: date
) -> int:
    """The table's rows as of the hour, events from `first_day` on; returns how many files it has.

    A version of a record that was replaced later is the current one here.
    """
    is_events = table.name in _EVENTS
    opened = lake.table(table)
    # an event occurs five minutes after it was received at the latest, by a clock that is wrong
    files = data_files(opened, _span(first_day, hour_at + DAY) if is_events else "true")
    stored = replace(table, name=f"stored_{table.name}")
    create_view(con, stored, field_ids(opened), files)
    at = f"TIMESTAMP '{hour_at}'"
    if is_events:
        rows = f"FROM {stored.name} WHERE received_at < {at} AND occurred_at >= DATE '{first_day}'"
    else:
        rows = (
            f"SELECT * REPLACE (CASE WHEN valid_to <= {at} THEN valid_to END AS valid_to) "
            f"FROM {stored.name} WHERE valid_from <= {at}"
        )
    con.execute(f"CREATE OR REPLACE TEMP VIEW {_known(table.name)} AS {rows}")
    return len(files)


def _span(first_day: date, until: datetime) -> str:
    """Events of a span as an Iceberg filter."""
    return f"occurred_at >= '{first_day}T00:00:00' and occurred_at < '{until.isoformat()}'"


def _days_with_events(
    con: duckdb.DuckDBPyConnection, tables: set[str], first_day: date, hour_at: datetime
) -> Iterator[date]:
    """Days of the horizon that have events, or whose neighbours have; the others have no rows."""
    events = " UNION ".join(
        f"SELECT occurred_at::DATE AS day FROM {_known(name)}"
        for name in sorted(tables & {*_EVENTS})
    )
    found = {row[0] for row in con.execute(events).fetchall()} if events else set[date]()
    day = first_day
    while day <= hour_at.date():
        if found & {day - DAY, day, day + DAY}:
            yield day
        day += timedelta(days=1)


def _derive(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> None:
    """Add the rows of one day to what is known of a model."""
    for name, selection in model.reads.items():
        match selection:
            case "same_partition":
                seen = f"{model.partition_column} = DATE '{day}'"
            case "same_day":
                seen = f"occurred_at >= DATE '{day}' AND occurred_at < DATE '{day + DAY}'"
            case "days_around":
                seen = f"occurred_at >= DATE '{day - DAY}' AND occurred_at < DATE '{day + 2 * DAY}'"
            case _:
                seen = "true"
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {_known(name)} WHERE {seen}")
    columns = ", ".join(model.table.column_names)
    con.execute(
        f"INSERT INTO {_known(model.name)} ({columns}) SELECT {columns} FROM ({model.sql})",
        {model.parameter: day},
    )
