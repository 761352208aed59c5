"""What takes a viewer's id out of rows: of any id, in any text, however it was escaped."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from aethex.lake.landing import LANDING_SCHEMA
from aethex.lake.quarantine import QUARANTINE_SCHEMA
from aethex.lake.viewer_swap import Swap

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
LONG = IDS.filter(lambda text: len(text) >= 16)


def escaped(text: str, which: list[bool]) -> str:
    """A JSON string in which some characters are written as \\uXXXX."""
    parts = [
        f"\\u{ord(c):04x}" if is_escaped else json.dumps(c)[1:-1]
        for c, is_escaped in zip(text, which, strict=False)
    ]
    return '"' + "".join(parts) + json.dumps(text[len(parts) :])[1:]


def refused(*events: str, viewer_id: str | None = None) -> pa.Table:
    rows = [
        {
            "received_at": NOW,
            "sender": "tok_1",
            "viewer_id": viewer_id,
            "reason": "no",
            "event": event,
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA)


@given(IDS, st.lists(st.booleans(), max_size=64), st.booleans())
def test_a_refused_event_that_names_the_id_is_emptied_however_it_is_written(
    old: str, which: list[bool], is_broken: bool
) -> None:
    swap = Swap(old, "vw_new")
    event = f'{{"viewer_id": {escaped(old, which)}' + ("" if is_broken else "}")
    if is_broken and ('"' in old or "\\" in old):
        return  # what is no JSON has no rule for what its quotes mean
    (row,) = swap.refused(refused(event)).to_pylist()
    assert row["event"] == "{}"
    assert swap.count(swap.refused(refused(event, viewer_id=old))) == 0


@given(IDS, IDS, st.integers(0, 10**6))
def test_events_of_others_stay_as_they_came(old: str, other: str, number: int) -> None:
    event = json.dumps({"viewer_id": other, "sequence": number, "kind": "start"})
    swap = Swap(old, "vw_new")
    if swap.is_named_in(event):
        assert old in (json.dumps(other)[1:-1], other) or old in event or old in other
        return
    assert swap.refused(refused(event, viewer_id=other if other != old else None)).column(
        "event"
    ).to_pylist() == [event]


@given(LONG, LONG)
def test_landed_rows_get_the_new_id_and_keep_all_else(old: str, other: str) -> None:
    if old in other or other in old:
        return
    rows = [
        {
            "kind": "playback",
            "event_id": f"{n}",
            "channel_id": "ch_1",
            "stream_id": "st_1",
            "viewer_id": viewer,
            "session_id": f"of {viewer}",
            "client_at": NOW.replace(tzinfo=None),
            "occurred_at": NOW.replace(tzinfo=None),
            "received_at": NOW.replace(tzinfo=None),
            "payload": json.dumps({"type": "error", "error": "words", "sequence": n}),
        }
        for n, viewer in enumerate((old, other, None))
    ]
    before = pa.Table.from_pylist(rows, schema=LANDING_SCHEMA)
    swap = Swap(old, "vw_new")
    after = swap.landed(before)
    assert after.schema == LANDING_SCHEMA
    assert after.to_pylist()[1:] == before.to_pylist()[1:]
    own = after.to_pylist()[0]
    assert (own["viewer_id"], own["session_id"]) == ("vw_new", "of vw_new")
    assert json.loads(own["payload"]) == {"type": "error", "sequence": 0}
    assert (swap.count(before), swap.count(after)) == (1, 0)
    assert swap.landed(after) == after
