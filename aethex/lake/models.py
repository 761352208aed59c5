"""SQL models as data: a folder per mart table with `query.sql` and `model.yaml`, loaded and
checked.

What belongs here: what a model declares, and every check that needs no data. What does not: running
one (`runner`), the SQL subset (`portable`).

`model.yaml`:

    description: what a row says           owner: who answers for it
    grain: one row per …                   key: [columns that are unique]
    partition: {column, parameter}         the day that a run replaces, and the query's $parameter
    for it
    hourly: {column, horizon_days}         instead of a day a run computes one full hour, named in
    that column; days before it that its inputs hold
    published: true                        false: builds do not hold it (it knows viewers)
    reads: {table: selection}              every table of the query, and which of its files a run
    opens
    columns: {name: {type, unit, description, required}}
    checks: [{name, description, when, sql}]   sql returns the rows that are wrong: none when all is
    well

Selections, for the day D of a run:

    whole             all rows (dimensions)
    same_partition    the table's rows of partition D
    same_day          events of day D
    days_around       events of the days D - 1, D and D + 1
    stream_days       events, or rows of a table keyed by day, of the days that the streams of
                      stream day D cover (and ten minutes more)
    live_streams      a stream-keyed table's rows of every stream that was live on day D

and for the hour H of a run of an hourly model:

    as_of_hour        the table as it was known at H: events received before H, records as they were
                      then, models computed anew from these; of the horizon's days

`when: run` (the default) checks the fresh rows, under the model's own name, beside what the query
read; `when: build` checks a whole build, with the days just rebuilt in the tables `due_stream_days`
and `due_days`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal, cast, get_args

from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.model_file import ModelError, Section
from aethex.lake.portable import read_query
from aethex.lake.tables import Column, ColumnType, Partition, Table
from aethex.settings import PROJECT_DIR

__all__ = ["MODELS_DIR", "Check", "Model", "ModelError", "Models", "load_models"]

MODELS_DIR = PROJECT_DIR / "aethex" / "assets" / "models"

Selection = Literal[
    "whole",
    "same_partition",
    "same_day",
    "days_around",
    "stream_days",
    "live_streams",
    "as_of_hour",
]
_DERIVABLE: tuple[Selection, ...] = ("whole", "same_partition", "same_day", "days_around")
"""How a model may read that is computed anew as of an hour."""
When = Literal["run", "build"]
PARTITION_COLUMNS = ("stream_day", "day")
DUE_TABLES = {"stream_day": "due_stream_days", "day": "due_days"}

_KEYS = (
    *("description", "owner", "grain", "key", "partition", "hourly", "published", "reads"),
    *("columns", "checks"),
)


@dataclass(frozen=True)
class Check:
    """A query that returns what is wrong. reads: the tables in it."""

    name: str
    description: str
    when: When
    sql: str
    reads: frozenset[str]


@dataclass(frozen=True)
class Hourly:
    """A model whose runs each compute one full hour. column: names the hour, a time; horizon_days:
    days before it that its inputs hold.
    """

    column: str
    horizon_days: int


@dataclass(frozen=True)
class Model:
    """One mart table: how it is computed, from what, and what its columns mean.

    parameter: name of the query's `$parameter`, the day that a run computes and replaces; of an
    hourly model, the hour.
    fingerprint: changes when its query or its columns do, which makes all its days due.
    """

    name: str
    folder: Path
    table: Table
    owner: str
    grain: str
    key: tuple[str, ...]
    parameter: str
    reads: dict[str, Selection]
    checks: tuple[Check, ...]
    sql: str
    fingerprint: str
    hourly: Hourly | None = None

    @property
    def partition_column(self) -> str:
        """`stream_day` or `day`."""
        return self.table.partition[0].column

    @property
    def description(self) -> str:
        return self.table.doc


class Models:
    """All models, by name; iterating goes from what is read to what reads it."""

    def __init__(self, models: dict[str, Model]) -> None:
        self._models = models

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    @property
    def tables(self) -> dict[str, Table]:
        """All tables of models by name, those that are not published too."""
        return {model.name: model.table for model in self}

    def keyed_by(self, column: str) -> list[Model]:
        """The models partitioned by that column, in order."""
        return [model for model in self if model.partition_column == column]


@lru_cache(maxsize=8)
def load_models(folder: Path = MODELS_DIR) -> Models:
    """Every model under the folder. Raises ModelError for the first mistake, with its file and
    line.
    """
    known = {**{table.name: table for table in EVENT_TABLES.values()}, **DIM_TABLES}
    loaded: dict[str, Model] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(("_", ".")):
            loaded[path.name] = _load(path)
    for model in loaded.values():
        _check_reads(model, known, loaded)
    sorter = TopologicalSorter(
        {name: set(model.reads) & set(loaded) for name, model in loaded.items()}
    )
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        circle = cast("list[str]", error.args[1])
        path = loaded[circle[0]].folder / "model.yaml"
        raise ModelError(
            path, 1, f"models read each other in a circle: {' -> '.join(circle)}"
        ) from error
    return Models({name: loaded[name] for name in order})


def _load(folder: Path) -> Model:
    document = Section.read(folder / "model.yaml")
    document.only(_KEYS)
    columns = _columns(document.section("columns"))
    partition = document.section("partition")
    partition.only(("column", "parameter"))
    column = partition.text("column")
    if column not in PARTITION_COLUMNS:
        raise partition.fail(
            "column", f"a model is partitioned by {' or '.join(PARTITION_COLUMNS)}"
        )
    key = document.texts("key")
    names = {entry.name: entry for entry in columns}
    for name in (column, *key):
        if name not in names:
            raise document.fail("key", f"{name!r} is not among the columns")
    if names[column].type != "date":
        raise partition.fail("column", f"{column!r} must be of type date")
    table = Table(
        name=folder.name,
        doc=document.text("description"),
        columns=columns,
        partition=(Partition(column),),
        sort=tuple(key),
        is_published=document.flag("published", True),
    )
    sql = _query(folder / "query.sql", document, partition.text("parameter"))
    return Model(
        name=folder.name,
        folder=folder,
        table=table,
        owner=document.text("owner"),
        grain=document.text("grain"),
        key=tuple(key),
        parameter=partition.text("parameter"),
        reads=_reads(document.section("reads")),
        checks=tuple(_check(section) for section in document.sections("checks")),
        sql=sql,
        fingerprint=_fingerprint(sql, table),
        hourly=_hourly(document, names),
    )


def _hourly(document: Section, columns: dict[str, Column]) -> Hourly | None:
    if "hourly" not in document.names():
        return None
    section = document.section("hourly")
    section.only(("column", "horizon_days"))
    name = section.text("column")
    if name not in columns or columns[name].type != "timestamp":
        raise section.fail("column", f"{name!r} must be a column of type timestamp")
    if name not in document.texts("key"):
        raise section.fail("column", f"{name!r} must be in the key: rows of other hours stay")
    days = section.text("horizon_days")
    if not days.isdigit() or not int(days):
        raise section.fail("horizon_days", f"a number of days, at least 1, not {days!r}")
    return Hourly(name, int(days))


def _fingerprint(sql: str, table: Table) -> str:
    """Of what decides the rows: the query, names and types; descriptions do not."""
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return hashlib.sha256(f"{columns}\n{sql}".encode()).hexdigest()[:16]


def _columns(section: Section) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name in section.names():
        entry = section.section(name)
        entry.only(("type", "unit", "description", "required"))
        kind = entry.text("type")
        if kind not in get_args(ColumnType):
            raise entry.fail(
                "type", f"unknown type {kind!r}; known are {', '.join(get_args(ColumnType))}"
            )
        columns.append(
            Column(
                name,
                cast("ColumnType", kind),
                unit=entry.text("unit", ""),
                doc=entry.text("description"),
                required=entry.flag("required", False),
            )
        )
    return tuple(columns)


def _reads(section: Section) -> dict[str, Selection]:
    reads: dict[str, Selection] = {}
    for name in section.names():
        selection = section.text(name)
        if selection not in get_args(Selection):
            known = ", ".join(get_args(Selection))
            raise section.fail(name, f"unknown selection {selection!r}; known are {known}")
        reads[name] = cast("Selection", selection)
    return reads


def _check(section: Section) -> Check:
    section.only(("name", "description", "when", "sql"))
    when = section.text("when", "run")
    if when not in get_args(When):
        raise section.fail("when", f"`when` must be {' or '.join(get_args(When))}, not {when!r}")
    sql = section.text("sql")
    query = read_query(sql)
    for problem in query.problems:
        # a block of text starts on the line after its `|`
        line = section.line_of("sql") + problem.line
        raise ModelError(section.path, line, problem.message)
    name, description = section.text("name"), section.text("description")
    return Check(name, description, cast("When", when), sql, query.tables)


def _query(path: Path, document: Section, parameter: str) -> str:
    """The query's text, checked against the subset, the declared reads and the parameter."""
    try:
        sql = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelError(path, 1, "the file is missing; every model folder has one") from None
    query = read_query(sql)
    for problem in query.problems:
        raise ModelError(path, problem.line, problem.message)
    declared = set(document.section("reads").names())
    if undeclared := sorted(query.tables - declared):
        raise document.fail(
            "reads", f"query.sql reads {', '.join(undeclared)}: declare it under `reads`"
        )
    if unused := sorted(declared - query.tables):
        raise document.fail(
            "reads", f"query.sql does not read {', '.join(unused)}: take it from `reads`"
        )
    if set(query.parameters) != {parameter}:
        found = ", ".join(f"${name}" for name in sorted(query.parameters)) or "none"
        raise document.fail(
            "partition", f"query.sql must use the parameter ${parameter} alone; it has {found}"
        )
    return sql


def _check_reads(model: Model, known: dict[str, Table], models: dict[str, Model]) -> None:
    """Every table that is read exists, and its selection fits it and the model's own partition."""
    document = Section.read(model.folder / "model.yaml")
    section = document.section("reads")
    events = {table.name for table in EVENT_TABLES.values()}
    for name, selection in model.reads.items():
        if name not in known and name not in models:
            tables = ", ".join(sorted({*known, *models}))
            raise section.fail(name, f"there is no table {name!r}; there are {tables}")
        fits = {
            "whole": name in DIM_TABLES,
            "same_partition": name in models
            and models[name].hourly is None
            and models[name].partition_column == model.partition_column,
            "same_day": name in events and model.partition_column == "day",
            "days_around": name in events and model.partition_column == "day",
            "stream_days": model.partition_column == "stream_day"
            and (name in events or (name in models and models[name].partition_column == "day")),
            "live_streams": name in models
            and models[name].partition_column == "stream_day"
            and model.partition_column == "day",
            "as_of_hour": name not in models or _is_derivable(models[name], models),
        }
        if not fits[selection] or (selection == "as_of_hour") != (model.hourly is not None):
            raise section.fail(
                name, f"selection {selection!r} does not fit {name!r} read by {model.name!r}"
            )
    _check_check_reads(model, document, known, models)


def _is_derivable(model: Model, models: dict[str, Model]) -> bool:
    """Whether it can be computed anew for each day of a horizon."""
    return (
        model.hourly is None
        and model.partition_column == "day"
        and all(selection in _DERIVABLE for selection in model.reads.values())
        and all(_is_derivable(models[name], models) for name in model.reads if name in models)
    )


def _check_check_reads(
    model: Model, document: Section, known: dict[str, Table], models: dict[str, Model]
) -> None:
    """Every check reads only what is there when it runs."""
    events = {table.name for table in EVENT_TABLES.values()}
    tables = {*model.reads, model.name}
    every = {**known, **{name: one.table for name, one in models.items()}}
    in_builds = {name for name, table in every.items() if table.is_published and name not in events}
    for check, entry in zip(model.checks, document.sections("checks"), strict=True):
        allowed = tables if check.when == "run" else {*in_builds, *DUE_TABLES.values()}
        if outside := sorted(check.reads - allowed):
            remedy = "say `when: build`" if check.when == "run" else "no build has such a table"
            raise entry.fail("sql", f"check {check.name!r} reads {', '.join(outside)}: {remedy}")
