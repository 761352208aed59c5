"""A platform with three viewers, for the tests of forgetting one; and forgetting in a process of
its own, which stops where the test wants it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
from sqlalchemy import select

from aethex.lake import Lake, forget
from aethex.lake.dim_tables import DIM_CHANNEL_OWNERS
from aethex.lake.dims import snapshot_dim
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import publish
from aethex.lake.quarantine import QUARANTINE_SCHEMA, quarantine
from aethex.lake.refresh import refresh
from aethex.library import Channel, Library, OutboxEvent, User, forgetting, users
from aethex.pipelines import forget as whole
from aethex.pipelines.forget import ForgetReport, forget_viewer
from aethex.settings import Settings
from aethex.store import open_store
from tests.lake.marts import MINUTE, NOON, NOW, World
from tests.lake.processes import Reach, Worker, stopping, worker
from tests.postgres_server import PostgresForTests
from tests.saved import Saved, saved

GONE = "usr_01K9Z3ABCDEFGHJKMNPQRSTVWX"
STAYS = "vw_01K9Z3ABCDEFGHJKMNPQRSTVWY"
SHORT = "42"
VIEWERS = (GONE, STAYS, SHORT)
DAYS = 3
POINTS = [
    "begun",
    "emptied, not committed",
    "emptied",
    "object to write",
    "objects written",
    "new files written",
    "exchanged",
    "manifests merged",
    "build moved on",
    "expired",
    "some deleted",
    "deleted",
    "all clean",
    "finishing",
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
    # somebody signs in while the player runs: a session of two ids
    signed_in = event(
        "playback",
        GONE,
        begin + timedelta(seconds=70),
        99,
        type="beat",
        rate=1.0,
        is_paused=False,
        sequence=99,
        elapsed_ms=70_000,
        position_ms=70_000,
    )
    events.append({**signed_in, "session_id": f"s_1_{begin:%d}"})
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


def build_platform(lake: Lake, library: Library, days: int = DAYS) -> Platform:
    """Days published and built, all but the first in a build each; one more that has landed only.

    The viewer owns the channel, and follows it, as another does.
    """
    world = World(lake)
    world.stream("st_1", NOON, NOON + timedelta(days=DAYS))
    world.snapshot()
    snapshot_dim(lake, DIM_CHANNEL_OWNERS, [{"channel_id": "ch_1", "owner_id": GONE}], NOW)
    for day in range(days):
        land(lake, landed(day_of_events(day)))
        publish(lake)
        if day or days == 1:
            refresh(lake)
    land(lake, landed(day_of_events(days)))
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


def saved_platform(
    postgres: PostgresForTests, folder: Path, days: int = DAYS
) -> AbstractContextManager[Saved[None]]:
    """Such a platform that is built once, for `platform_again`."""

    def make(settings: Settings) -> None:
        with Lake.open(settings) as lake, Library.open(settings) as library:
            build_platform(lake, library, days)

    return saved(postgres, folder, make)


@contextmanager
def platform_again(state: Saved[None]) -> Iterator[Platform]:
    """The platform as it was built, for one test."""
    with (
        state.again() as (settings, _),
        Lake.open(settings) as lake,
        Library.open(settings) as library,
    ):
        yield Platform(lake, library)


def waiting(library: Library) -> list[str]:
    """The viewers of the events that wait in the outbox, in order."""
    with library.session() as s:
        return [*s.scalars(select(OutboxEvent.viewer_id).order_by(OutboxEvent.id))]


def forgetter(settings: Settings, *stop_at: str) -> AbstractContextManager[Worker]:
    """A forgetting of GONE; POINTS are its points."""
    return worker(_forget, settings, *stop_at)


def _forget(settings: Settings, reach: Reach) -> None:
    def told(module: Any, name: str, before: str, after: str) -> None:
        setattr(module, name, stopping(getattr(module, name), reach, before, after))

    def named(opened: Any) -> set[str]:
        found = named_files(opened)
        if len(opened.metadata.snapshots) == 1:
            reach("expired")
        return found

    def open_lake(settings: Settings) -> Lake:
        lake = Lake(settings, open_store(settings))
        told(lake.catalog, "commit_table", "new files written", "committed")
        told(lake.store, "delete", "deleting", "some deleted")
        return lake

    named_files = forget.named_files
    told(forgetting, "empty", "begun", "emptied, not committed")
    told(forgetting, "finish", "finishing", "finished, not committed")
    told(whole, "forget_found", "emptied", "all was taken out")
    told(whole._Run, "_prove", "all clean", "proven")
    told(forget, "to_parquet", "object read", "object to write")
    told(forget, "_forget_in_table", "objects written", "table done")
    told(forget, "replace_files", "rows read", "exchanged")
    told(forget, "append_nothing", "all exchanged", "manifests merged")
    told(forget, "_move_build_on", "moving", "build moved on")
    told(forget, "_delete_unnamed", "deleted", "strays deleted")
    forget.named_files = named
    cast("Any", whole.Lake).open = open_lake
    forget_viewer(settings, GONE)
