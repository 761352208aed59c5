"""A platform with three viewers, for the tests of forgetting one; and forgetting in a process of
its own, which stops where the test wants it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from aethex.lake import Lake, forget, forget_search
from aethex.lake.dim_tables import DIM_CHANNEL_OWNERS
from aethex.lake.dims import snapshot_dim
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import publish
from aethex.lake.quarantine import QUARANTINE_SCHEMA, quarantine
from aethex.lake.refresh import refresh
from aethex.library import Channel, Library, OutboxEvent, User, forgetting, likes, users
from aethex.pipelines import forget as whole
from aethex.pipelines.forget import ForgetReport, forget_viewer
from aethex.settings import Settings
from tests.lake.marts import MINUTE, NOON, NOW, World
from tests.lake.processes import Reach, Worker, stopping, worker

GONE = "usr_01K9Z3ABCDEFGHJKMNPQRSTVWX"
STAYS = "vw_01K9Z3ABCDEFGHJKMNPQRSTVWY"
SHORT = "42"
VIEWERS = (GONE, STAYS, SHORT)
DAYS = 3
POINTS = [
    "begun",
    "emptied",
    "writing an object",
    "object written",
    "new files written",
    "exchanged",
    "manifests merged",
    "build moved on",
    "expired",
    "deleting",
    "deleted",
    "all clean",
]


def event(kind: str, viewer_id: str | None, at: datetime, n: int, **payload: Any) -> dict[str, Any]:
    """One event as it lands; its id follows from the rest."""
    content = {"stream_id": "st_1"} if kind in ("playback", "chat", "follow") else {"vod_id": "v"}
    return {
        "kind": kind,
        "event_id": str(uuid5(NAMESPACE_URL, f"{kind}/{viewer_id}/{at}/{n}")),
        "channel_id": "ch_1",
        **content,
        "viewer_id": viewer_id,
        "session_id": f"s_{VIEWERS.index(viewer_id) if viewer_id else 9}_{at:%d}",
        "client_at": at,
        "occurred_at": at,
        "received_at": at,
        "payload": json.dumps(payload),
    }


def watched(viewer_id: str, begin: datetime, seconds: int = 120) -> Iterator[dict[str, Any]]:
    """A session of one viewer: a beat every 15 s, and an error in the player's words at the end."""
    for n, second in enumerate(range(0, seconds, 15)):
        at = begin + timedelta(seconds=second)
        kind = "error" if second + 15 >= seconds else "beat"
        words = {"error": f"{viewer_id}'s own words"} if kind == "error" else {}
        played = {"sequence": n, "elapsed_ms": second * 1000, "position_ms": second * 1000}
        yield event(
            "playback", viewer_id, at, n, type=kind, rate=1.0, is_paused=False, **played, **words
        )


def day_of_events(day: int) -> list[dict[str, Any]]:
    """What the three viewers did on a day."""
    begin = NOON + timedelta(days=day)
    events = [one for viewer in VIEWERS for one in watched(viewer, begin, 120 + 60 * day)]
    events += [
        event("chat", viewer, begin + MINUTE, n, characters=n)
        for viewer in VIEWERS
        for n in range(2)
    ]
    events.append(event("follow", GONE, begin + MINUTE, 0, action="follow"))
    events.append(event("engagement", GONE, begin + MINUTE, 0, action="share", network="link"))
    events.append(event("engagement", STAYS, begin + MINUTE, 0, action="share", network="link"))
    return events


def landed(events: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(events, schema=LANDING_SCHEMA)


def refused(lake: Lake) -> str:
    """Three refused events: one of the viewer's own, two of backends, of which one names it."""
    row = {
        "received_at": NOW.replace(tzinfo=UTC),
        "sent_at": None,
        "sender": "tok_1",
        "viewer_id": None,
        "event_id": None,
        "field": "stream_id",
        "reason": "There is no stream 'x'.",
    }
    rows = [
        {**row, "sender": "player", "viewer_id": GONE, "event": '{"user_agent": "mine"}'},
        {**row, "event": json.dumps({"viewer_id": GONE, "a": 1}).replace("usr", "\\u0075sr")},
        {**row, "event": json.dumps({"viewer_id": STAYS, "characters": 42})},
        {**row, "event": json.dumps({"viewer_id": SHORT})},
    ]
    return quarantine(lake.store, pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA), NOW)


@dataclass
class Platform:
    """A lake with two builds, landing, quarantine and a library, all of which know the viewers."""

    lake: Lake
    library: Library

    @property
    def settings(self) -> Settings:
        return self.lake.settings

    def forget(self, viewer_id: str = GONE) -> ForgetReport:
        return forget_viewer(self.settings, viewer_id)

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """The present rows of a table, in an order of their own."""
        opened = self.lake.catalog.load_table(("lake", table))
        rows = opened.scan().to_arrow()
        names = rows.column_names if columns == "*" else columns.split()
        found = zip(*(rows.column(name).to_pylist() for name in names), strict=True)
        return sorted(found, key=repr)

    def viewers(self, table: str, column: str = "viewer_id") -> set[str]:
        return {row[0] for row in self.rows(table, column)}


def build_platform(lake: Lake, library: Library) -> Platform:
    """Three days published and built in two builds, a fourth that has landed only."""
    world = World(lake)
    world.stream("st_1", NOON, NOON + timedelta(days=DAYS))
    world.snapshot()
    snapshot_dim(lake, DIM_CHANNEL_OWNERS, [{"channel_id": "ch_1", "owner_id": GONE}], NOW)
    for day in range(DAYS):
        land(lake, landed(day_of_events(day)))
        publish(lake)
        if day:
            refresh(lake)
    land(lake, landed(day_of_events(DAYS)))
    refused(lake)
    lake.store.put("vods/ch_1/st_1/run_1/000001.m4s", b"media")
    with library.session() as s:
        s.add(User(id=GONE, username="mika", display_name="Mika"))
        s.add(User(id="usr_other", username="other", display_name="Other"))
        s.flush()
        s.add(Channel(id="ch_1", owner_id=GONE, username="ch1", title="One"))
        s.flush()
        for user_id in (GONE, "usr_other"):
            users.follow(s, user_id, "ch_1")
    return Platform(lake, library)


def waiting(library: Library) -> list[str]:
    """The viewers of the events that wait in the outbox."""
    with library.session() as s:
        return [row.viewer_id for row in s.query(OutboxEvent).order_by(OutboxEvent.id)]


def forgetter(settings: Settings, *stop_at: str) -> AbstractContextManager[Worker]:
    """A forgetting of GONE; POINTS are its points."""
    return worker(_forget, settings, *stop_at)


def _forget(settings: Settings, reach: Reach) -> None:
    forgetting.begin = stopping(forgetting.begin, reach, "beginning", "written, not committed")
    forgetting.empty = stopping(forgetting.empty, reach, "begun", "emptied, not committed")
    forget_found = whole.forget_found
    whole.forget_found = stopping(forget_found, reach, "emptied", "found was forgotten")
    forget.to_parquet = stopping(forget.to_parquet, reach, "reading", "writing an object")
    forget.live_files = stopping(forget.live_files, reach, "object written", "planned")
    write = forget.replace_files
    forget.replace_files = stopping(write, reach, "new files to come", "exchanged")
    append = forget.append_nothing
    forget.append_nothing = stopping(append, reach, "all exchanged", "manifests merged")
    move = forget._move_build_on
    forget._move_build_on = stopping(move, reach, "moving", "build moved on")
    forget._delete_unnamed = stopping(forget._delete_unnamed, reach, "deleted", "all deleted")
    whole._Run._prove = stopping(whole._Run._prove, reach, "all clean", "proven")

    def opened(settings: Settings) -> Lake:
        lake = Lake(settings, forget_search_store(settings))
        commits = lake.catalog.commit_table
        lake.catalog.commit_table = stopping(commits, reach, "new files written", "committed")
        lake.store.delete = stopping(lake.store.delete, reach, "deleting", "some deleted")
        return lake

    def named(table: Any) -> set[str]:
        calls.append(1)
        found = names(table)
        if len(calls) % 3 == 2:
            reach("expired")
        return found

    calls: list[int] = []
    names = forget.named_files
    forget.named_files = named
    whole.Lake.open = opened  # pyright: ignore[reportAttributeAccessIssue]
    forget_viewer(settings, GONE)


def forget_search_store(settings: Settings) -> Any:
    from aethex.store import open_store

    return open_store(settings)


__all__ = ["POINTS", "Platform", "build_platform", "forget_search", "forgetter", "likes"]
