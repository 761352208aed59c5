"""One id of a viewer in exchange for another, in rows of any kind.

What belongs here: which columns hold ids of people or their own words, where an id is looked for,
and what takes its place, in SQL and in Arrow. What does not: reading and writing files (`forget`).

A long id is unmistakable, so it is looked for inside of every text. A short one, as a backend may
give its viewers ("42"), would be found in half of all numbers: it is looked for as the whole value
of a column of ids, and of a field of ids in refused events.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from aethex.lake.tables import Table

ID_COLUMNS = ("viewer_id", "owner_id", "user_id")
"""Columns that hold ids of people."""

OTHER_ID_COLUMNS = frozenset(
    {
        "event_id",
        "channel_id",
        "stream_id",
        "vod_id",
        "clip_id",
        "session_id",
        "segment_id",
        "category_id",
        "content_id",
        "peak_stream_id",
    }
)
"""Columns of other ids; a test asks for a decision about every new one. A session is one player on
one page: its id is random, and says nothing once the viewer's is gone."""

OWN_WORDS = ("error",)
"""Columns with text from the viewer's own device. No number is computed from them: emptied."""

REFUSED_EVENT = "event"
"""Quarantine's column with a refused event as it came, whatever its sender put in."""

NO_EVENT = "{}"
LEAST_UNMISTAKABLE = 16


@dataclass(frozen=True)
class Swap:
    """The id that is to go, and the one that takes its place. Neither is shown in messages."""

    old: str = field(repr=False)
    new: str = field(repr=False)

    @property
    def is_unmistakable(self) -> bool:
        """Whether the id is long enough to be looked for inside of texts."""
        return len(self.old) >= LEAST_UNMISTAKABLE

    @property
    def values(self) -> dict[str, str]:
        """The parameters of `columns`."""
        return {"old": self.old, "new": self.new}

    def columns(self, table: Table) -> dict[str, str]:
        """SQL for the values of those columns of the table that may change; it takes `values`.

        Event ids never change: publishing knows copies by them.
        """
        texts = [c.name for c in table.columns if c.type == "string" and c.name != "event_id"]
        found = {name: self._sql(table, name) for name in texts}
        return {name: sql for name, sql in found.items() if sql is not None}

    def _sql(self, table: Table, name: str) -> str | None:
        if name in OWN_WORDS and "viewer_id" in table.column_names:
            kept = f"replace({name}, $old, $new)" if self.is_unmistakable else name
            # of the new id too: so rows look the same before and after
            return f"CASE WHEN viewer_id IS NULL OR viewer_id NOT IN ($old, $new) THEN {kept} END"
        if self.is_unmistakable:
            return f"replace({name}, $old, $new)"
        return f"CASE WHEN {name} = $old THEN $new ELSE {name} END" if name in ID_COLUMNS else None

    # rows in memory

    def mask(self, rows: pa.Table | pa.RecordBatch) -> pa.Array:
        """Which rows hold the id, as booleans without nulls."""
        found = pa.repeat(pa.scalar(False), rows.num_rows)
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            if pa.types.is_string(column.type):
                found = pc.or_(found, pc.fill_null(self._hits(name, column), False))
        return found

    def count(self, rows: pa.Table | pa.RecordBatch) -> int:
        """How many rows hold the id."""
        return pc.sum(self.mask(rows)).as_py() or 0

    def _hits(self, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        if name == REFUSED_EVENT:
            return pa.array([self.is_named_in(text) for text in column.to_pylist()], pa.bool_())
        if self.is_unmistakable:
            return pc.match_substring(column, self.old)
        if name in ID_COLUMNS:
            return pc.equal(column, self.old)
        return pa.repeat(pa.scalar(False), len(column))

    def is_named_in(self, text: str | None) -> bool:
        """Whether a refused event names the id, also behind JSON's escapes."""
        if text is None:
            return False
        plain = text if "\\" not in text else _unescaped(text)
        if self.is_unmistakable:
            return any(form in one for form in self._forms for one in (plain, text))
        return self._field.search(plain) is not None or self._field.search(text) is not None

    @cached_property
    def _forms(self) -> set[str]:
        """The id as it is, and as JSON writes it."""
        return {self.old, json.dumps(self.old)[1:-1]}

    @cached_property
    def _field(self) -> re.Pattern[str]:
        names = "|".join(ID_COLUMNS)
        forms = "|".join(re.escape(form) for form in self._forms)
        return re.compile(rf'"(?:{names})"\s*:\s*"(?:{forms})"')

    def landed(self, rows: pa.Table) -> pa.Table:
        """Landed rows with the new id; the viewer's own words are taken out of the payloads."""
        own = pc.equal(rows.column("viewer_id"), self.old).to_pylist()
        payloads = rows.column("payload").to_pylist()
        payloads = [
            _without_words(text) if is_own else text
            for text, is_own in zip(payloads, own, strict=True)
        ]
        return self._in_texts(_with_column(rows, "payload", pa.array(payloads, pa.string())))

    def refused(self, rows: pa.Table) -> pa.Table:
        """Quarantine's rows with the new id; refused events that hold the old one are emptied."""
        events = pc.if_else(self.mask(rows), NO_EVENT, rows.column(REFUSED_EVENT))
        return self._in_texts(_with_column(rows, REFUSED_EVENT, events), kept=())

    def _in_texts(self, rows: pa.Table, kept: tuple[str, ...] = ("event_id",)) -> pa.Table:
        for name in rows.column_names:
            column = rows.column(name)
            if not pa.types.is_string(column.type) or name in kept:
                continue
            if self.is_unmistakable:
                changed = pc.replace_substring(column, self.old, self.new)
            elif name in ID_COLUMNS:
                is_old = pc.fill_null(pc.equal(column, self.old), False)
                changed = pc.if_else(is_old, pa.scalar(self.new), column)
            else:
                continue
            position = rows.column_names.index(name)
            rows = rows.set_column(position, rows.schema.field(position), changed)
        return rows


def _unescaped(text: str) -> str:
    """JSON with its escapes resolved; text that is no JSON with those of ASCII resolved."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return re.sub(r"\\u00([0-7][0-9a-fA-F])", lambda m: chr(int(m[1], 16)), text)


def _without_words(payload: str) -> str:
    if not any(f'"{name}"' in payload for name in OWN_WORDS):
        return payload
    carried = json.loads(payload)
    kept = {name: value for name, value in carried.items() if name not in OWN_WORDS}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)


def _with_column(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    position = rows.column_names.index(name)
    return rows.set_column(position, rows.schema.field(position), values)
