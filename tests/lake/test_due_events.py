"""What players', chat and follow events make due: the days that they can change, and no others."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa

from aethex.lake.dim_tables import DIM_CHANNEL_OWNERS
from aethex.lake.dims import snapshot_dim
from aethex.lake.due import Due, due
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import publish
from tests.lake.marts import NOON, NOW, World, days, worlds

DAY = timedelta(days=1)
NO_DAYS: tuple[Any, ...] = ()


def fill(world: World) -> None:
    """Streams of two channels on 1 and 5 May, all built."""
    world.stream("st_1", NOON, NOON + timedelta(hours=2))
    world.stream("st_2", NOON + 4 * DAY, NOON + 4 * DAY + timedelta(hours=2), channel_id="ch_2")
    world.refresh()


built, world = worlds(fill)


def event(kind: str, at: datetime, payload: dict[str, Any], **ids: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "event_id": str(uuid4()),
        "channel_id": "ch_1",
        "client_at": at,
        "occurred_at": at,
        "received_at": NOW,
        "payload": json.dumps(payload),
        **ids,
    }


def beat(at: datetime, **ids: str) -> dict[str, Any]:
    payload = {
        **{"type": "beat", "sequence": 0, "elapsed_ms": 0, "position_ms": 0, "rate": 1},
        "is_paused": False,
    }
    return event("playback", at, payload, session_id="s", viewer_id="vw_1", **ids)


def arrive(world: World, *events: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Publish events; what they make due, by model, and that one refresh does all of it."""
    land(world.lake, pa.Table.from_pylist(list(events), schema=LANDING_SCHEMA))
    publish(world.lake)
    found = by_model(due(world.lake))
    world.refresh()
    assert due(world.lake).is_empty
    return found


def by_model(found: Due) -> dict[str, tuple[Any, ...]]:
    return {one.name: one.days for one in found.models if one.days}


def test_playback_of_a_vod_touches_its_day_and_the_neighbours(world: World) -> None:
    found = arrive(world, beat(NOON + 9 * DAY, vod_id="vod_1"))
    around = days("2024-05-09", "2024-05-10", "2024-05-11")
    assert found == dict.fromkeys(["sessions", "bot_marks", "views", "content_daily"], around)


def test_playback_makes_the_streams_of_those_days_due(world: World) -> None:
    found = arrive(world, beat(NOON + timedelta(minutes=1), stream_id="st_1"))
    around = days("2024-04-30", "2024-05-01", "2024-05-02")
    assert found == {
        **dict.fromkeys(["sessions", "bot_marks", "views", "content_daily"], around),
        "stream_audience": days("2024-05-01"),
    }


def test_chat_touches_its_stream_alone(world: World) -> None:
    chat = event("chat", NOON + timedelta(minutes=1), {}, stream_id="st_1", viewer_id="usr_1")
    assert arrive(world, chat) == {"stream_audience": days("2024-05-01")}
    nobody = event("chat", NOON + 9 * DAY, {}, stream_id="st_1", viewer_id="usr_1")
    assert arrive(world, nobody) == {}


def test_a_follow_touches_its_day_and_the_streams_of_that_day(world: World) -> None:
    follow = event("follow", NOON + 4 * DAY, {"action": "follow"}, viewer_id="usr_1")
    assert arrive(world, follow) == {
        "channel_follows": days("2024-05-05"),
        "stream_audience": days("2024-05-05"),
    }


def test_a_like_touches_its_day(world: World) -> None:
    like = event("engagement", NOON + 8 * DAY, {"action": "like"}, vod_id="vod_1")
    assert arrive(world, like) == {"content_daily": days("2024-05-09")}


def test_health_touches_nothing_yet(world: World) -> None:
    assert arrive(world, event("health", NOON, {"bitrate_kbps": 1}, stream_id="st_1")) == {}


def test_a_new_owner_makes_the_days_of_its_channel_s_playback_due(world: World) -> None:
    arrive(world, beat(NOON + 9 * DAY, vod_id="vod_1"))
    rows = [{"channel_id": "ch_1", "owner_id": "vw_1"}, {"channel_id": "ch_2", "owner_id": "vw_1"}]
    snapshot_dim(world.lake, DIM_CHANNEL_OWNERS, rows, NOW)
    found = by_model(due(world.lake))
    assert found == dict.fromkeys(["bot_marks", "views", "content_daily"], days("2024-05-10"))
    build = world.refresh().build
    assert build.tables["content_daily"].rows == 1
    assert due(world.lake).is_empty
