"""What people do in the library reaches the lake's tables: all of it, once, whatever happens."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aethex.lake import Lake
from aethex.lake.event_tables import ENGAGEMENT_EVENTS, FOLLOW_EVENTS
from aethex.lake.publish import publish
from aethex.lake.tables import Table
from aethex.library import Library, User, Vod, likes, outbox, users, vods
from aethex.service import outbox as module
from aethex.service.app import create_app
from aethex.service.metrics import Metrics
from aethex.service.outbox import OutboxDrain
from aethex.settings import Settings
from aethex.store import Store, StoreUnreachable
from tests.lake.events import in_order
from tests.service.collecting import tell
from tests.service.conftest import serving
from tests.service.content import MadeVod, add_vod
from tests.service.drainer import drainer
from tests.supervise.platform import eventually


@pytest.fixture
def user(library: Library) -> User:
    with library.session() as s:
        return users.ensure_user(s, "mika")


@pytest.fixture
def vod(library: Library, folder_store: Store) -> MadeVod:
    return add_vod(library, folder_store)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def drain(library: Library, folder_store: Store, metrics: Metrics) -> OutboxDrain:
    return OutboxDrain(library, folder_store, metrics)


def follow(library: Library, user: User, vod: MadeVod) -> None:
    with library.session() as s:
        assert users.follow(s, user.id, vod.channel_id, vod.stream_id)


def unfollow(library: Library, user: User, vod: MadeVod) -> None:
    with library.session() as s:
        assert users.unfollow(s, user.id, vod.channel_id)


def like(library: Library, user: User, vod: MadeVod, *, ends: bool = False) -> None:
    with library.session() as s:
        found: Vod | None = vods.get(s, vod.id)
        assert found is not None
        assert (likes.unlike if ends else likes.like)(s, user.id, found)


def waiting(library: Library) -> int:
    with library.session() as s:
        return outbox.count(s)


def waiting_says(metrics: Metrics) -> str:
    (line,) = (
        line
        for line in metrics.render().decode().splitlines()
        if line.startswith("aethex_outbox_waiting ")
    )
    return line.split()[1]


def rows_of(lake: Lake, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """The table's rows, once everything is published."""
    publish(lake)
    found = lake.table(table).scan().to_arrow().to_pylist()
    return in_order(tuple(row[name] for name in columns) for row in found)


def test_follows_and_likes_and_their_ends_are_in_the_tables_once(
    library: Library, lake: Lake, drain: OutboxDrain, user: User, vod: MadeVod
) -> None:
    follow(library, user, vod)
    unfollow(library, user, vod)
    like(library, user, vod)
    with library.session() as s:
        told = {event.id: event for event in outbox.take(s, 100)}
    assert drain.drain() == 3
    like(library, user, vod, ends=True)
    assert drain.drain() == 1
    assert drain.drain() == 0
    common = ("action", "viewer_id", "channel_id", "stream_id", "vod_id")
    assert rows_of(lake, FOLLOW_EVENTS, *common) == [
        ("follow", user.id, vod.channel_id, vod.stream_id, None),
        ("unfollow", user.id, vod.channel_id, None, None),
    ]
    assert rows_of(lake, ENGAGEMENT_EVENTS, *common) == [
        ("like", user.id, vod.channel_id, None, vod.id),
        ("unlike", user.id, vod.channel_id, None, vod.id),
    ]
    for kind, table in (("follow", FOLLOW_EVENTS), ("engagement", ENGAGEMENT_EVENTS)):
        expected = {
            (str(event.event_id), event.occurred_at.replace(tzinfo=None))
            for event in told.values()
            if event.kind == kind
        }
        assert expected <= set(rows_of(lake, table, "event_id", "occurred_at"))
        for client_at, occurred_at, received_at in rows_of(
            lake, table, "client_at", "occurred_at", "received_at"
        ):
            assert client_at == occurred_at <= received_at


def test_times_are_utc_whatever_the_databases_zone(
    library: Library, lake: Lake, drain: OutboxDrain, user: User, vod: MadeVod
) -> None:
    with library.engine.begin() as connection:
        name = connection.exec_driver_sql("select current_database()").scalar_one()
        connection.exec_driver_sql(f"alter database {name} set timezone to 'Asia/Tokyo'")
    library.engine.dispose()
    follow(library, user, vod)
    drain.drain()
    ((occurred_at, received_at),) = rows_of(lake, FOLLOW_EVENTS, "occurred_at", "received_at")
    assert 0 <= (received_at - occurred_at).total_seconds() < 60


def test_what_was_rolled_back_never_lands(
    library: Library, folder_store: Store, drain: OutboxDrain, user: User, vod: MadeVod
) -> None:
    def follow_and_fail() -> None:
        with library.session() as s:
            users.follow(s, user.id, vod.channel_id)
            s.flush()
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        follow_and_fail()
    assert drain.drain() == 0
    assert list(folder_store.list("landing")) == []


def test_what_is_not_committed_yet_lands_later(
    library: Library, drain: OutboxDrain, user: User, vod: MadeVod
) -> None:
    with library.session() as s:
        users.follow(s, user.id, vod.channel_id)
        s.flush()
        assert drain.drain() == 0
    assert drain.drain() == 1


def test_a_drain_killed_before_it_removed_what_landed_is_repeated_and_counts_once(
    library: Library, lake: Lake, drain: OutboxDrain, user: User, vod: MadeVod
) -> None:
    follow(library, user, vod)
    like(library, user, vod)
    with drainer(lake.settings) as killed:
        killed.wait_until_landed()
        assert len(list(lake.store.list("landing"))) == 1
        assert drain.drain() == 0  # its rows are locked as long as it lives
        killed.kill()
    assert waiting(library) == 2
    eventually(drain.drain)  # once the server has seen that the process is gone
    assert waiting(library) == 0
    assert len(list(lake.store.list("landing"))) == 2
    assert rows_of(lake, FOLLOW_EVENTS, "action") == [("follow",)]
    assert rows_of(lake, ENGAGEMENT_EVENTS, "action") == [("like",)]


def test_a_repetition_after_the_first_was_published_counts_once_too(
    library: Library, lake: Lake, drain: OutboxDrain, user: User, vod: MadeVod
) -> None:
    follow(library, user, vod)
    with drainer(lake.settings) as killed:
        killed.wait_until_landed()
    assert rows_of(lake, FOLLOW_EVENTS, "action") == [("follow",)]
    eventually(drain.drain)
    assert rows_of(lake, FOLLOW_EVENTS, "action") == [("follow",)]


def test_two_drains_at_once_share_the_work(
    library: Library,
    lake: Lake,
    drain: OutboxDrain,
    user: User,
    vod: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for act in (follow, unfollow, like):
        act(library, user, vod)
    both = threading.Barrier(2, timeout=30)
    land = module.land_checked

    def land_together(*args, **options) -> str:
        both.wait()  # nobody removes before both have taken
        return land(*args, **options)

    monkeypatch.setattr(module, "land_checked", land_together)
    other = OutboxDrain(library, lake.store, Metrics())
    with ThreadPoolExecutor(2) as pool:
        shares = [pool.submit(each.drain) for each in (drain, other)]
        assert sorted(share.result() for share in shares) == [1, 2]
    assert waiting(library) == 0
    assert rows_of(lake, FOLLOW_EVENTS, "action") == [("follow",), ("unfollow",)]
    assert rows_of(lake, ENGAGEMENT_EVENTS, "action") == [("like",)]


def test_while_the_store_is_away_they_wait_and_the_gauge_says_so(
    library: Library,
    lake: Lake,
    drain: OutboxDrain,
    metrics: Metrics,
    user: User,
    vod: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follow(library, user, vod)
    like(library, user, vod)

    def fail(*_: object, **__: object) -> None:
        raise StoreUnreachable("The store does not answer.")

    with monkeypatch.context() as away:
        away.setattr(Store, "put", fail)
        for _ in range(2):
            with pytest.raises(StoreUnreachable):
                drain.drain()
    assert (waiting(library), waiting_says(metrics)) == (2, "2.0")
    assert drain.drain() == 2
    assert (waiting(library), waiting_says(metrics)) == (0, "0.0")
    assert rows_of(lake, FOLLOW_EVENTS, "action") == [("follow",)]


def test_more_than_a_batch_is_drained_batch_by_batch_the_oldest_first(
    library: Library,
    drain: OutboxDrain,
    metrics: Metrics,
    user: User,
    vod: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for act in (follow, unfollow, like):
        act(library, user, vod)
    assert drain.drain() == 2
    assert waiting_says(metrics) == "1.0"
    with library.session() as s:
        assert [event.payload["action"] for event in outbox.take(s, 9)] == ["like"]
    assert (drain.drain(), waiting_says(metrics)) == (1, "0.0")


# --- the service's own loop -----------------------------------------------------------------------


def test_the_service_drains_by_itself(
    settings: Settings,
    library: Library,
    lake: Lake,
    user: User,
    vod: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)
    drained = threading.Event()
    drain = OutboxDrain.drain

    def watched(self: OutboxDrain) -> int:
        found = drain(self)
        if found:
            drained.set()
        return found

    monkeypatch.setattr(OutboxDrain, "drain", watched)
    with serving(create_app(settings)) as client:
        for act in (follow, unfollow):
            drained.clear()
            act(library, user, vod)
            assert drained.wait(30)
        assert "aethex_outbox_waiting 0.0" in client.get("/metrics").text
    assert rows_of(lake, FOLLOW_EVENTS, "action") == [("follow",), ("unfollow",)]


def test_the_loop_goes_on_after_a_failure(
    drain: OutboxDrain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("DRAIN_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(module, name, 0)
    results: list[Any] = [StoreUnreachable("The store does not answer."), 0, module.BATCH, 3]

    async def story() -> None:
        all_done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def next_one() -> int:
            if not results:
                loop.call_soon_threadsafe(all_done.set)
                return 0
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(drain, "drain", next_one)
        async with drain.running():
            await all_done.wait()

    tell(story())
    assert caplog.messages == ["The outbox waits: The store does not answer."]


def test_a_stop_waits_for_the_drain_that_is_under_way(
    library: Library,
    folder_store: Store,
    drain: OutboxDrain,
    user: User,
    vod: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follow(library, user, vod)
    landing, may_land = threading.Event(), threading.Event()
    land = module.land_checked

    def slowly(*args, **options) -> str:
        landing.set()
        may_land.wait(10)
        return land(*args, **options)

    monkeypatch.setattr(module, "land_checked", slowly)

    async def story() -> None:
        async with drain.running():
            await asyncio.to_thread(landing.wait)
            asyncio.get_running_loop().call_later(0.1, may_land.set)
        assert waiting(library) == 0
        assert len(list(folder_store.list("landing"))) == 1

    tell(story())
