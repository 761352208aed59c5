"""A simulated audience through the real service: the numbers are what its people did."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aethex.lake import Lake, connect
from aethex.lake.publish import publish
from aethex.lake.refresh import refresh
from aethex.library import Library, channels, users
from aethex.settings import Settings
from aethex.simulation.crowd import Plan, gather
from aethex.simulation.network import TAIL, travel
from aethex.simulation.replay import requests_of_window
from aethex.simulation.send import Sent, send_all
from aethex.simulation.stage import make_plan, platform_token
from aethex.simulation.truth import truth_of
from aethex.store import open_store
from tests.conftest import own_settings
from tests.postgres_server import PostgresForTests
from tests.service.content import add_vod
from tests.service.measured import build
from tests.service_process import running_service

VIEWERS = 500
FULL_VIEWERS = 2_000
LENGTH = timedelta(hours=24, minutes=5)
"""Long enough for a session of a day without a pause."""

People = dict[str, Any]


@dataclass(frozen=True)
class Simulated:
    """A simulation that was sent, published and computed."""

    settings: Settings
    plan: Plan
    sent: Sent
    truth: dict[str, Any]

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the build, and of the tables that know viewers."""
        with connect(self.settings) as con:
            return con.execute(sql, list(values)).fetchall()


@pytest.fixture(
    scope="module", params=[VIEWERS, pytest.param(FULL_VIEWERS, marks=pytest.mark.soak)]
)
def simulated(
    request: pytest.FixtureRequest,
    postgres: PostgresForTests,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Simulated]:
    with postgres.fresh_database() as url:
        settings = own_settings(tmp_path_factory.mktemp("simulated"), url)
        with Library.open(settings) as library, Lake.open(settings) as lake:
            plan = _stage(settings, library, request.param)
            requests = travel(crowd := gather(plan))
            with running_service(settings) as service, platform_token(library) as token:
                sent = asyncio.run(send_all(service.url, token, requests, speed=None))
            build(lake, library)
        yield Simulated(settings, plan, sent, truth_of(crowd, requests))


def _stage(settings: Settings, library: Library, viewers: int) -> Plan:
    """A channel with an owner and two short VODs, and a stream of more than a day."""
    store = open_store(settings)
    for title in ("Day one", "Day two"):
        add_vod(library, store, username="simulated", title=title)
    with library.session() as s:
        owner = users.ensure_user(s, "owner")
        channels.ensure_channel(s, "simulated").owner_id = owner.id
    return make_plan(
        library,
        channel="simulated",
        stream="A long one",
        viewers=viewers,
        seed=20261125,
        began_at=datetime.now(UTC).replace(microsecond=0) - LENGTH - TAIL,
        length=LENGTH,
    )


def test_every_event_was_taken_and_stands_in_the_tables_once(simulated: Simulated) -> None:
    events = simulated.truth["events"]
    assert simulated.sent.events["rejected"] == 0, simulated.sent.reasons
    assert simulated.sent.events.total() == events["sent"] > events["distinct"]
    counts = [
        simulated.ask(f"SELECT count(*), count(DISTINCT event_id) FROM {table}")[0]
        for table in ("playback_events", "chat_messages", "follow_events", "engagement_events")
    ]
    assert sum(rows for rows, _ in counts) == sum(ids for _, ids in counts) == events["distinct"]


@pytest.mark.parametrize(("of", "suffix"), [("raw", "_raw"), ("filtered", "")])
def test_sessions_views_uniques_and_watched_time_are_the_truth(
    simulated: Simulated, of: str, suffix: str
) -> None:
    rows = simulated.ask(
        f"""
        SELECT content_id, sum(sessions{suffix}), sum(views{suffix}),
               sum(watched_seconds{suffix} * 1000), sum(present_seconds{suffix} * 1000)
        FROM content_daily GROUP BY content_id
        """
    )
    people = "(content_id, session_id) NOT IN (SELECT content_id, session_id FROM bot_marks)"
    uniques = dict(
        simulated.ask(
            "SELECT content_id, count(DISTINCT viewer_id) FROM sessions "
            f"WHERE {'true' if suffix else people} GROUP BY content_id"
        )
    )
    found = {
        content_id: {
            "sessions": sessions,
            "views": views,
            "unique_viewers": uniques[content_id],
            "watched_ms": round(watched),
            "present_ms": round(present),
        }
        for content_id, sessions, views, watched, present in rows
    }
    contents = simulated.truth["content"].items()
    assert found == {content_id: facts[of] for content_id, facts in contents}


def test_the_stream_s_audience_is_the_truth(simulated: Simulated) -> None:
    (row,) = simulated.ask(
        """
        SELECT sessions_raw, views_raw, unique_viewers_raw, round(watched_seconds_raw * 1000),
               sessions, views, unique_viewers, round(watched_seconds * 1000),
               chat_messages, chatters, new_followers
        FROM stream_audience WHERE stream_id = ?
        """,
        simulated.truth["stream_id"],
    )
    truth = simulated.truth
    content = truth["content"][truth["stream_id"]]
    names = ("sessions", "views", "unique_viewers", "watched_ms")
    assert row == (
        *(content["raw"][name] for name in names),
        *(content["filtered"][name] for name in names),
        truth["chat"]["messages"],
        truth["chat"]["chatters"],
        truth["follows"]["new_followers"],
    )


def test_follows_of_the_channel_are_the_truth(simulated: Simulated) -> None:
    (row,) = simulated.ask("SELECT sum(follows), sum(unfollows) FROM channel_follows")
    follows = simulated.truth["follows"]
    assert row == (follows["follows"], follows["unfollows"])


def test_likes_of_each_vod_are_the_truth(simulated: Simulated) -> None:
    rows = simulated.ask(
        "SELECT content_id, sum(likes) - sum(unlikes) FROM content_daily "
        "WHERE content_kind = 'vod' GROUP BY content_id ORDER BY content_id"
    )
    assert dict(rows) == simulated.truth["likes"]


def test_bots_are_marked_by_their_rule_and_nobody_else_is(simulated: Simulated) -> None:
    found: dict[str, list[str]] = {}
    for rule, session_id in simulated.ask(
        "SELECT DISTINCT rule, session_id FROM bot_marks ORDER BY rule, session_id"
    ):
        found.setdefault(rule, []).append(session_id)
    assert found == simulated.truth["marks"]
    assert set(found) == {
        *("known_crawler", "channel_owner", "no_pause_for_24_hours", "over_50_sessions_a_minute")
    }


def test_what_landed_sent_again_changes_nothing(simulated: Simulated) -> None:
    with Lake.open(simulated.settings) as lake, Library.open(simulated.settings) as library:
        before = refresh(lake).build
        window = list(requests_of_window(lake, 1))
        events = sum(len(request.events) for request in window)
        assert events >= simulated.truth["events"]["distinct"]
        again = window[::20]
        with running_service(simulated.settings) as service, platform_token(library) as token:
            sent = asyncio.run(send_all(service.url, token, again, speed=None))
        assert sent.events["rejected"] == 0, sent.reasons
        (marker,) = publish(lake)
        assert (marker.rows_out, marker.duplicates) == (0, sent.events["accepted"])
        assert refresh(lake).build.tables == before.tables
