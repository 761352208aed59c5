"""When each table's files were last looked through for orphans, and how long that took.

What belongs here: whose turn it is. What does not: looking (`expiry`).

A look reads the names in all kept snapshots, and for published tables in all kept builds: for a
small lake that is nothing, for a large one minutes. So a table is looked at again after a hundred
times as long as the last look took, and the one that waited longest comes first. The memory of it
is one small object; without it all tables are due.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aethex.store import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aethex.lake.tables import Table
    from aethex.store import Store

LOOKS_KEY = "lake/orphan_looks.json"
REST = 100
"""A table is left alone for so many times as long as a look took: looking costs a hundredth."""


@dataclass(frozen=True)
class Look:
    """One look: when (naive UTC, ISO 8601), and how long it took."""

    looked_at: str
    seconds: float

    def is_due(self, now: datetime) -> bool:
        """Whether the table has been left alone for long enough."""
        since = now - datetime.fromisoformat(self.looked_at)
        return since < timedelta() or since >= timedelta(seconds=self.seconds * REST)


def read_looks(store: Store) -> dict[str, Look]:
    """The last look at each table that was looked at."""
    try:
        raw: dict[str, dict[str, str | float]] = json.loads(store.get(LOOKS_KEY))
    except NotFound:
        return {}
    return {
        name: Look(str(look["looked_at"]), float(look["seconds"])) for name, look in raw.items()
    }


def write_looks(store: Store, looks: dict[str, Look]) -> None:
    """Remember them."""
    data = json.dumps({name: asdict(look) for name, look in looks.items()}).encode()
    store.put(LOOKS_KEY, data, content_type="application/json")


def due_tables(tables: Iterable[Table], looks: dict[str, Look], now: datetime) -> list[Table]:
    """The tables whose turn it is, those first that waited longest."""
    due = [table for table in tables if table.name not in looks or looks[table.name].is_due(now)]
    return sorted(due, key=lambda t: looks[t.name].looked_at if t.name in looks else "")
