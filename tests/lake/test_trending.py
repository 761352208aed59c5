"""Trending lists in the lake: made again after more came in they are the same, row for row."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
import pytest

from aethex.lake import Lake
from aethex.lake.builds import publish_build
from aethex.lake.connections import open_build
from aethex.lake.dim_tables import DIM_CHANNEL_OWNERS, DIM_VODS
from aethex.lake.dims import snapshot_dim
from aethex.lake.due import due, full_hours
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.models import Models, load_models
from aethex.lake.publish import publish
from aethex.lake.refresh import refresh
from aethex.lake.runner import run_model
from aethex.lake.trending import list_hour, top_vods, vod_scores
from tests.saved import lakes

HOUR_AT = datetime.fromisoformat("2024-05-08T12:00")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MODEL = load_models()["trending"]

Event = dict[str, Any]


def event(
    kind: str, at: datetime, payload: Event, received_at: datetime | None, **ids: Any
) -> Event:
    name = f"{kind}/{at}/{payload}/{ids}"
    return {
        "kind": kind,
        "event_id": str(uuid5(NAMESPACE_URL, name)),
        "channel_id": "ch_1",
        "client_at": at,
        "occurred_at": at,
        "received_at": received_at or at,
        "payload": json.dumps(payload),
        **ids,
    }


def watched(
    viewer_id: str,
    at: datetime,
    *,
    vod_id: str = "vod_1",
    received_at: datetime | None = None,
    crawler: str | None = None,
    seconds: int = 30,
) -> list[Event]:
    """A session that watched so long."""
    payload = {"rate": 1, "is_paused": False, **({"crawler": crawler} if crawler else {})}
    return [
        event(
            "playback",
            at + timedelta(milliseconds=ms),
            {**payload, "type": kind, "sequence": n, "elapsed_ms": ms, "position_ms": ms},
            received_at,
            **{
                "viewer_id": viewer_id,
                "vod_id": vod_id,
                "session_id": f"{viewer_id}-{vod_id}-{at}",
            },
        )
        for n, (kind, ms) in enumerate([("start", 0), ("beat", seconds * 1000)])
    ]


def engaged(
    viewer_id: str, at: datetime, action: str, received_at: datetime | None = None
) -> Event:
    ids = {"viewer_id": viewer_id, "vod_id": "vod_1"}
    return event("engagement", at, {"action": action}, received_at, **ids)


def arrive(lake: Lake, *events: Event) -> None:
    land(lake, pa.Table.from_pylist(list(events), schema=LANDING_SCHEMA))
    publish(lake)


def records(lake: Lake, at: datetime, owner_id: str = "usr_owner", **changed: Any) -> None:
    """The library's rows as of then."""
    common = {"channel_id": "ch_1", "title": "A VOD", "stream_id": "st_1", "deleted_at": None}
    picture = {"size_bytes": 1, "width": 1, "height": 1, "is_public": True, "created_at": at}
    vod = {**common, **picture, "duration_ms": 60_000, "created_at": HOUR_AT - 10 * HOUR}
    vods = [{**vod, "vod_id": "vod_1", **changed}, {**vod, "vod_id": "vod_2"}]
    snapshot_dim(lake, DIM_VODS, vods, at)
    owners = [{"channel_id": "ch_1", "owner_id": owner_id}]
    snapshot_dim(lake, DIM_CHANNEL_OWNERS, owners, at)


def fill(lake: Lake) -> None:
    """Five people watched vod_1 for half of its length, an hour and more before the hour."""
    records(lake, HOUR_AT - 9 * HOUR)
    arrive(
        lake,
        *(e for n in range(5) for e in watched(f"vw_{n}", HOUR_AT - HOUR - n * MINUTE)),
        engaged("vw_1", HOUR_AT - HOUR, "like"),
    )


kept, trending = lakes(fill)


def listed(lake: Lake) -> list[dict[str, Any]]:
    table = lake.table(MODEL.table)
    rows = table.scan().to_arrow().to_pylist() if table.current_snapshot() else []
    return sorted(rows, key=lambda row: (row["hour_at"], row["content_id"]))


def test_an_hour_computed_again_after_more_came_in_gives_the_same_list(trending: Lake) -> None:
    first = run_model(trending, MODEL, HOUR_AT)
    (row,) = before = listed(trending)
    assert (row["unique_viewers"], row["views"], row["likes"]) == (5, 5, 1)
    assert row["completion_ratio"] == pytest.approx(0.5)

    # late, and received at the very hour; and of an hour later, when records changed too
    arrive(
        trending,
        *watched("vw_late", HOUR_AT - HOUR, received_at=HOUR_AT),
        *watched("vw_1", HOUR_AT - 2 * HOUR, received_at=HOUR_AT + MINUTE, seconds=60),
        engaged("vw_2", HOUR_AT - 3 * HOUR, "share", HOUR_AT + MINUTE),
        engaged("vw_1", HOUR_AT - MINUTE, "unlike", HOUR_AT + MINUTE),
    )
    records(trending, HOUR_AT + MINUTE, owner_id="vw_3", is_public=False, duration_ms=10_000)
    refresh(trending)  # the stored sessions, marks and views have all of it
    again = run_model(trending, MODEL, HOUR_AT)
    assert (first.is_changed, again.is_changed) == (True, False)
    assert listed(trending) == before

    records(trending, HOUR_AT + 2 * MINUTE, duration_ms=60_000)
    run_model(trending, MODEL, HOUR_AT + HOUR)
    kept, later = listed(trending)
    assert kept == row
    assert (later["unique_viewers"], later["likes"], later["shares"]) == (6, 0, 1)


def test_what_comes_in_before_the_hour_counts_whenever_it_is_published(trending: Lake) -> None:
    run_model(trending, MODEL, HOUR_AT)
    arrive(trending, *watched("vw_9", HOUR_AT - HOUR, received_at=HOUR_AT - MINUTE))
    run_model(trending, MODEL, HOUR_AT)
    assert [row["unique_viewers"] for row in listed(trending)] == [6]


def test_bots_and_the_owner_count_nothing(trending: Lake) -> None:
    run_model(trending, MODEL, HOUR_AT)
    before = listed(trending)
    at = HOUR_AT - 2 * HOUR
    arrive(
        trending,
        *watched("usr_owner", at),
        engaged("usr_owner", at, "like"),
        engaged("usr_owner", at, "share"),
        *watched("vw_crawler", at, crawler="Googlebot"),
        engaged("vw_crawler", at, "share"),
        *(e for n in range(51) for e in watched("vw_many", at + timedelta(milliseconds=n))),
        engaged("vw_many", at, "like"),
        *(e for n in range(4) for e in watched(f"vw_{n}", at, vod_id="vod_2", seconds=30)),
        *watched("usr_owner", at, vod_id="vod_2"),
    )
    run_model(trending, MODEL, HOUR_AT)
    assert listed(trending) == before, "vod_2 has four viewers, and as much of it is watched"


def test_hours_of_a_day_stand_beside_each_other(trending: Lake) -> None:
    for hour_at in (HOUR_AT + HOUR, HOUR_AT, HOUR_AT + 2 * HOUR, HOUR_AT + HOUR):
        run_model(trending, MODEL, hour_at)
    rows = listed(trending)
    assert [row["hour_at"] for row in rows] == [HOUR_AT + n * HOUR for n in range(3)]
    points = [row["points"] for row in rows]
    assert points[1] / points[0] == pytest.approx(0.5 ** (1 / 12))
    assert len(list(trending.table(MODEL.table).scan().plan_files())) == 1, "a file a day"


def test_only_full_hours_can_be_computed(lake: Lake) -> None:
    for wrong in (HOUR_AT + MINUTE, HOUR_AT.replace(tzinfo=UTC), HOUR_AT.date()):
        with pytest.raises(ValueError, match=r"trending runs for a full hour \(naive UTC\), not"):
            run_model(lake, MODEL, wrong)
    with pytest.raises(ValueError, match="views runs for a day"):
        run_model(lake, load_models()["views"], HOUR_AT)


def test_lists_are_due_once_publishing_has_passed_their_hour(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def due_at(known_until: datetime) -> list[datetime]:
        """Hours that are due when publishing has come so far; one refresh makes their lists."""
        monkeypatch.setattr("aethex.lake.due.watermark", lambda _: known_until)
        found = due(lake)
        hours = next(one for one in found.models if one.name == "trending").hours
        assert found.is_empty == (not hours)
        assert {result.hour_at for result in refresh(lake).results} == {*hours}
        assert due(lake).is_empty
        return list(hours)

    assert due_at(HOUR_AT + MINUTE) == [HOUR_AT], "the first build has the newest list"
    assert due_at(HOUR_AT + 59 * MINUTE) == []
    assert due_at(HOUR_AT + HOUR) == [HOUR_AT + HOUR]
    assert due_at(HOUR_AT + 3 * HOUR + MINUTE) == [HOUR_AT + 2 * HOUR, HOUR_AT + 3 * HOUR]
    after_an_outage = due_at(HOUR_AT + 100 * HOUR)
    assert after_an_outage == [HOUR_AT + n * HOUR for n in range(77, 101)]


def test_a_changed_model_is_due_for_the_newest_hour_alone(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aethex.lake.due.watermark", lambda _: HOUR_AT + MINUTE)
    refresh(lake)
    for name in ("trending", "bot_marks"):
        changed = [
            replace(model, fingerprint="another") if model.name == name else model
            for model in load_models()
        ]
        found = due(lake, Models({model.name: model for model in changed}))
        assert next(one for one in found.models if one.name == "trending").hours == (HOUR_AT,)


def test_a_backfill_of_a_day_has_the_hours_that_are_known() -> None:
    day = HOUR_AT.date()
    assert full_hours(day, None) == []
    assert full_hours(day, HOUR_AT) == [HOUR_AT - n * HOUR for n in range(12, -1, -1)]
    assert len(full_hours(day, HOUR_AT + 99 * HOUR)) == 24


def test_the_newest_list_is_read_and_no_older_one_in_its_place(
    trending: Lake,
) -> None:
    run_model(trending, MODEL, HOUR_AT)
    publish_build(trending, due(trending))
    con = open_build(trending, trending.settings)
    fresh_until = (HOUR_AT + 59 * MINUTE).replace(tzinfo=UTC)
    assert list_hour(fresh_until) == HOUR_AT.replace(tzinfo=UTC)
    assert top_vods(con, fresh_until) == ["vod_1"]
    assert vod_scores(con, "ch_1", fresh_until) == {"vod_1": listed(trending)[0]["score"]}
    assert vod_scores(con, "ch_2", fresh_until) == {}
    for other in (HOUR_AT + HOUR, HOUR_AT - MINUTE):
        assert top_vods(con, other) == []
        assert vod_scores(con, "ch_1", other) == {}
