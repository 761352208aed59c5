"""What the tables say of everybody, before and after a viewer is forgotten: it must be the same.

What belongs here: the numbers and digests to compare. What does not: changing anything (`forget`).

A row counts with the new id in the place of the old one, before as well as after. So the numbers
also hold for tables of which a killed run had done a part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from aethex.lake.build_records import current_build, list_builds, read_build
from aethex.lake.core import Lake
from aethex.lake.forget import tables_with_viewers
from aethex.lake.tables import Table, stored_table
from aethex.lake.viewer_swap import ID_COLUMNS, Swap
from aethex.lake.views import create_view, data_files, field_ids

_SESSIONS = """
    SELECT count(DISTINCT (s.content_id, s.session_id)), count(DISTINCT {viewer}),
           coalesce(sum(s.watched_ms), 0)::BIGINT, coalesce(sum(s.present_ms), 0)::BIGINT
    FROM sessions AS s
    WHERE {which} NOT EXISTS (
        SELECT 1 FROM bot_marks AS m
        WHERE m.day = s.day AND m.content_id = s.content_id AND m.session_id = s.session_id
    )
"""
_NAMES = ("sessions", "unique_viewers", "watched_ms", "present_ms")

Numbers = dict[str, int | str]


@dataclass(frozen=True)
class Measures:
    """tables: of each table its rows, its different viewers and sessions, and a digest of all its
    rows; numbers: sessions, unique viewers, watched and present time of all days, and views, each
    filtered and raw; builds: of each build that is kept, and the current one, a digest of what it
    names.
    """

    tables: dict[str, Numbers]
    numbers: dict[str, int]
    builds: dict[str, str]

    def differences(self, after: Measures) -> list[str]:
        """What is not the same afterwards, as one text each."""
        before = _flat(asdict(self))
        later = _flat(asdict(after))
        return [
            f"{name}: {before.get(name)} before, {later.get(name)} after"
            for name in sorted({*before, *later})
            if before.get(name) != later.get(name)
        ]


def measure(
    lake: Lake, swap: Swap, progress: Callable[[str, float | None], None] = lambda _t, _s: None
) -> Measures:
    """Measure all tables that may hold viewers, and what builds name."""
    tables = tables_with_viewers()
    found: dict[str, Numbers] = {}
    for n, table in enumerate(tables.values(), start=1):
        progress(f"Measuring {table.name}", n / len(tables))
        found[table.name] = _of_table(lake, table, swap)
    return Measures(found, _numbers(lake, tables, swap), _builds(lake))


def _of_table(lake: Lake, table: Table, swap: Swap) -> Numbers:
    opened = lake.table(table)
    stored = stored_table(table, opened.schema())
    changed = swap.columns(stored)
    every = ", ".join(changed.get(name, name) for name in stored.column_names)
    people = [name for name in ID_COLUMNS if name in stored.column_names]
    counted = {
        "rows": "count(*)",
        **{f"different_{name}": f"count(DISTINCT {changed[name]})" for name in people},
        **(
            {"sessions": "count(DISTINCT session_id)"} if "session_id" in table.column_names else {}
        ),
        "digest": f"coalesce(sum(hash({every})::HUGEINT), 0)::VARCHAR",
    }
    with lake.duckdb(threads=2) as con:
        create_view(con, stored, field_ids(opened), data_files(opened))
        values = swap.values if changed else {}
        row = con.execute(f"SELECT {', '.join(counted.values())} FROM {table.name}", values)
        return dict(zip(counted, row.fetchall()[0], strict=True))


def _numbers(lake: Lake, tables: dict[str, Table], swap: Swap) -> dict[str, int]:
    with lake.duckdb(threads=2) as con:
        for name in ("sessions", "views", "bot_marks"):
            opened = lake.table(tables[name])
            create_view(con, tables[name], field_ids(opened), data_files(opened))
        viewer = swap.columns(tables["sessions"])["viewer_id"].replace("viewer_id", "s.viewer_id")
        found: dict[str, int] = {}
        for kind, which in (("filtered", ""), ("raw", "true OR")):
            query = _SESSIONS.format(viewer=viewer, which=which)
            row = con.execute(query, swap.values).fetchall()[0]
            found |= {f"{name}_{kind}": value for name, value in zip(_NAMES, row, strict=True)}
            views = con.execute(f"SELECT count(*) FILTER (WHERE is_{kind}) FROM views").fetchall()
            found[f"views_{kind}"] = views[0][0]
        return found


def _builds(lake: Lake) -> dict[str, str]:
    """Of each build a digest of the tables that it holds: their snapshots, columns and files."""
    found = {build_id: read_build(lake.store, build_id) for build_id in list_builds(lake.store)}
    if (current := current_build(lake.store)) is not None:
        found["current"] = current
    return {
        name: hashlib.sha256(repr(build.tables).encode()).hexdigest()[:16]
        for name, build in found.items()
    }


def _flat(nested: dict[str, dict[str, Any]]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for group, items in nested.items():
        for name, value in items.items():
            if group == "tables":
                flat |= {f"{name} {part}": one for part, one in value.items()}
            else:
                flat[f"{group} {name}"] = value
    return flat
