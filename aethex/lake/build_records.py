"""What a build is: the snapshot and the data files of every mart and dim table, as one immutable
record.

What belongs here: the record, its JSON, and reading it from the store. What does not: making a
build (`builds`), opening one (`connections`).

`marts/builds/<id>.json` is written once and never changed; `marts/current.json` is a copy of the
current one, whose `window` and `fresh_until` move on while nothing else changes. Times are naive
UTC.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from aethex.lake.tables import Column, Table
from aethex.store import NotFound, ObjectInfo, Store

CURRENT_KEY = "marts/current.json"
BUILDS_PREFIX = "marts/builds/"


class UnknownBuild(LookupError):
    """There is no build with that id."""


@dataclass(frozen=True)
class BuildColumn:
    """A column as it was in the build, with Iceberg's id of it in the files."""

    field_id: int
    column: Column


@dataclass(frozen=True)
class BuildFile:
    """One data file: its key in the store, bytes, rows."""

    key: str
    size_bytes: int
    rows: int


@dataclass(frozen=True)
class BuildTable:
    """One table of a build. fingerprint: of its model, by which a changed one is noticed."""

    doc: str
    snapshot_id: int | None
    fingerprint: str
    columns: tuple[BuildColumn, ...]
    files: tuple[BuildFile, ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def field_ids(self) -> dict[str, int]:
        return {item.column.name: item.field_id for item in self.columns}

    def definition(self, name: str) -> Table:
        """The table's columns and documentation as they were."""
        return Table(name, self.doc, tuple(item.column for item in self.columns))


@dataclass(frozen=True)
class Build:
    """One consistent state of all marts.

    window: the last publish window whose rows are in it; fresh_until: that window's watermark, None
    before the first window. tables: marts and dims. events: the snapshot of each event table when
    it was made. models: fingerprints of those whose tables are not in it; dims: snapshots of
    those that are not in it.
    """

    id: str
    created_at: datetime
    window: int
    fresh_until: datetime | None
    tables: dict[str, BuildTable]
    events: dict[str, int | None]
    models: dict[str, str]
    dims: dict[str, int | None]

    def fingerprint_of(self, model: str) -> str | None:
        """Of the model as it was when the build was made; None where it was not there."""
        table = self.tables.get(model)
        return table.fingerprint if table else self.models.get(model)

    def snapshot_of(self, dim: str) -> int | None:
        """Of the dim table as it was when the build was made; None where it was empty."""
        table = self.tables.get(dim)
        return table.snapshot_id if table else self.dims.get(dim)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())


def build_key(build_id: str) -> str:
    """The key of a build's own record."""
    return f"{BUILDS_PREFIX}{build_id}.json"


def current_build(store: Store) -> Build | None:
    """The current build; None before the first one. One small read."""
    return read_current(store)[0]


def read_current(store: Store) -> tuple[Build | None, ObjectInfo | None]:
    """The current build and the object that it was read from, for a conditional replacement."""
    try:
        data, info = store.get_with_info(CURRENT_KEY)
    except NotFound:
        return None, None
    return from_json(data), info


def read_build(store: Store, build_id: str) -> Build:
    """A build by its id. Raises UnknownBuild."""
    try:
        return from_json(store.get(build_key(build_id)))
    except (NotFound, ValueError) as error:
        raise UnknownBuild(f"there is no build {build_id!r}") from error


def list_builds(store: Store) -> list[str]:
    """The ids of all builds that are kept, oldest first."""
    return [
        info.key.removeprefix(BUILDS_PREFIX).removesuffix(".json")
        for info in store.list(BUILDS_PREFIX)
    ]


def to_json(build: Build) -> bytes:
    """The record as it is stored."""

    def encode(item: object) -> str:
        if isinstance(item, datetime):
            return f"{item.isoformat()}Z"
        raise TypeError(f"no JSON for {type(item).__name__}")

    return json.dumps(asdict(build), default=encode, separators=(",", ":")).encode()


def from_json(data: bytes) -> Build:
    """The record from its stored form."""
    raw: dict[str, Any] = json.loads(data)
    return Build(
        id=raw["id"],
        created_at=_time(raw["created_at"]),
        window=raw["window"],
        fresh_until=_time(raw["fresh_until"]) if raw["fresh_until"] else None,
        tables={name: _table(table) for name, table in raw["tables"].items()},
        events=raw["events"],
        models=raw.get("models", {}),
        dims=raw.get("dims", {}),
    )


def _table(raw: dict[str, Any]) -> BuildTable:
    return BuildTable(
        doc=raw["doc"],
        snapshot_id=raw["snapshot_id"],
        fingerprint=raw["fingerprint"],
        columns=tuple(
            BuildColumn(item["field_id"], Column(**item["column"])) for item in raw["columns"]
        ),
        files=tuple(BuildFile(**item) for item in raw["files"]),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)
