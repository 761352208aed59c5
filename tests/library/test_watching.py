"""Watch progress: the newest moment wins in any order, and what of it is offered where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from aethex.library import Channel, Library, User, Vod, WatchProgress, users, vods, watching
from aethex.store import open_store
from tests.conftest import own_settings
from tests.library.conftest import VodParts
from tests.postgres_server import PostgresForTests
from tests.service.content import add_vod

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR_MS = 3_600_000


@pytest.fixture
def user(library: Library) -> User:
    with library.session() as s:
        return users.ensure_user(s, "mika")


@pytest.fixture
def add(library: Library, vod_parts: Callable[..., VodParts]) -> Callable[..., Vod]:
    def add(title: str = "A VOD", **changes: object) -> Vod:
        with library.session() as s:
            return vods.add_vod(s, *vod_parts(title, **({"duration_ms": HOUR_MS} | changes)))

    return add


def save(library: Library, user: User, vod: Vod, ms: int, at: datetime = NOW) -> WatchProgress:
    with library.session() as s:
        return watching.save(s, user.id, vod, ms, at, NOW)


@pytest.mark.parametrize(
    ("position_s", "duration_s", "resumes"),
    [
        (0, 3600, False),
        (9.999, 3600, False),
        (10, 3600, True),
        (3419.999, 3600, True),
        (3420, 3600, False),
        (3600, 3600, False),
        (9, 60, False),
        (10, 60, True),
        (56.9, 60, True),
        (57, 60, False),
        (12, 8 * 3600, True),
        (9, 9, False),
        (30, None, False),
    ],
)
def test_resuming_is_offered_from_10_seconds_to_95_percent(
    position_s: float, duration_s: float | None, resumes: bool
) -> None:
    position_ms = int(position_s * 1000)
    duration_ms = None if duration_s is None else int(duration_s * 1000)
    assert watching.resume_ms(position_ms, duration_ms) == (position_ms if resumes else None)


def test_watched_is_from_95_percent_on() -> None:
    assert [watching.is_watched(ms, 1000) for ms in (949, 950, 1000)] == [False, True, True]
    assert not watching.is_watched(5, None)
    assert not watching.is_watched(0, 0)


def test_an_older_beat_that_arrives_late_never_moves_it_back(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    vod = add()
    save(library, user, vod, 700_000, NOW - 10 * SECOND)
    late = save(library, user, vod, 100_000, NOW - 20 * SECOND)
    assert (late.position_ms, late.client_at) == (700_000, NOW - 10 * SECOND)
    back = save(library, user, vod, 50_000, NOW)
    assert back.position_ms == 50_000, "seeking back is newer, and counts"


def test_a_position_behind_the_end_is_the_end(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    assert save(library, user, add(), 10 * HOUR_MS).position_ms == HOUR_MS


def test_a_clock_that_is_ahead_wins_only_until_now(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    vod = add()
    assert save(library, user, vod, 1_000, NOW + timedelta(days=365)).client_at == NOW
    with library.session() as s:
        later = watching.save(s, user.id, vod, 2_000, NOW + SECOND, NOW + 2 * SECOND)
    assert later.position_ms == 2_000


@pytest.fixture(scope="module")
def one_vod(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Library, str, Vod]]:
    """A library for many examples, a user of it, and a VOD."""
    with postgres.fresh_database() as url:
        settings = own_settings(tmp_path_factory.mktemp("watching"), url)
        with Library.open(settings) as library:
            made = add_vod(library, open_store(settings))
            with library.session() as s:
                user, vod = users.ensure_user(s, "mika"), vods.get(s, made.id)
            assert vod is not None
            yield library, user.id, vod


BEATS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8_000)), min_size=1, max_size=8)


@settings(max_examples=40)
@given(beats=BEATS, seed=st.integers(0, 2**32))
def test_any_order_and_any_repetition_end_in_the_same_state(
    one_vod: tuple[Library, str, Vod], beats: list[tuple[int, int]], seed: int
) -> None:
    library, user_id, vod = one_vod
    random = Random(seed)
    sent = [*beats, *random.choices(beats, k=4)]
    random.shuffle(sent)
    with library.session() as s:
        s.execute(delete(WatchProgress))
        for second, position_ms in sent:
            at = NOW - timedelta(seconds=10 - second)
            kept = watching.save(s, user_id, vod, position_ms, at, NOW)
    newest = max(beats)
    assert kept.client_at == NOW - timedelta(seconds=10 - newest[0])
    assert kept.position_ms == newest[1]


def test_the_history_has_the_latest_first_in_pages(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    made = [add(f"VOD {n}") for n in range(3)]
    for n, vod in enumerate(made):
        save(library, user, vod, 60_000 * n, NOW - timedelta(minutes=n))
    with library.session() as s:
        first = watching.history(s, user, 1, 2)
        rest = watching.history(s, user, 2, 2)
    assert [item.vod.title for item in first.items] == ["VOD 0", "VOD 1"]
    assert [(item.vod.title, item.position_ms) for item in rest.items] == [("VOD 2", 120_000)]
    assert (first.total, rest.total) == (3, 3)


def test_what_is_watched_or_hardly_begun_is_not_to_be_continued(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    for title, position_ms in (("hardly", 9_999), ("half", HOUR_MS // 2), ("done", HOUR_MS)):
        save(library, user, add(title), position_ms)
    gone = add("gone")
    save(library, user, gone, HOUR_MS // 2)
    with library.session() as s:
        vods.mark_deleted(s, gone.id, NOW)
        found = watching.continue_watching(s, user, 10)
        assert [item.vod.title for item in found] == ["half"]
        assert watching.history(s, user).total == 3


def test_new_vods_of_followed_channels_are_recommended_until_they_are_begun(
    library: Library, user: User, channel: Channel, add: Callable[..., Vod]
) -> None:
    old, new = add("old", created_at=NOW - SECOND), add("new", created_at=NOW)
    add("private", is_public=False)

    def titles() -> list[str]:
        with library.session() as s:
            return [vod.title for vod in watching.recommended(s, user.id, 10)]

    assert titles() == []
    with library.session() as s:
        users.follow(s, user.id, channel.id)
    assert titles() == ["new", "old"]
    save(library, user, old, 1_000)
    assert titles() == ["new", "old"]
    save(library, user, new, 60_000)
    assert titles() == ["old"]


def test_what_was_removed_is_gone_until_it_is_undone_or_watched_again(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    vod = add()
    save(library, user, vod, 60_000, NOW - 5 * SECOND)
    removed_at = NOW - SECOND
    with library.session() as s:
        assert watching.remove(s, user.id, vod.id, removed_at) == 1
        assert watching.remove(s, user.id, vod.id, NOW) == 0
        assert watching.history(s, user).total == 0
        assert watching.positions(s, user.id, [vod.id]) == {}
    save(library, user, vod, 70_000, NOW - 2 * SECOND)  # was on its way
    with library.session() as s:
        assert watching.history(s, user).total == 0
        assert watching.restore(s, user.id, removed_at, NOW) == 1
        assert watching.restore(s, user.id, removed_at, NOW) == 0
        assert watching.positions(s, user.id, [vod.id]) == {vod.id: 60_000}
        watching.remove(s, user.id, vod.id, removed_at)
    save(library, user, vod, 80_000, NOW)
    with library.session() as s:
        assert watching.positions(s, user.id, [vod.id]) == {vod.id: 80_000}


def test_clearing_empties_one_history_and_can_be_undone_as_a_whole(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    with library.session() as s:
        other = users.ensure_user(s, "other")
    made = [add(f"VOD {n}") for n in range(3)]
    for vod in made:
        save(library, user, vod, 60_000, NOW - SECOND)
    save(library, other, made[0], 60_000)
    with library.session() as s:
        watching.remove(s, user.id, made[0].id, NOW - SECOND)
        assert watching.clear(s, user.id, NOW) == 2
        assert watching.history(s, user).total == 0
        assert watching.history(s, other).total == 1
        assert watching.restore(s, other.id, NOW, NOW) == 0, "not another one's"
        assert watching.restore(s, user.id, NOW, NOW) == 2


def test_what_was_removed_long_ago_goes_for_good(
    library: Library, user: User, add: Callable[..., Vod]
) -> None:
    first, second = add("first"), add("second")
    for vod in (first, second):
        save(library, user, vod, 60_000, NOW - SECOND)
    with library.session() as s:
        watching.remove(s, user.id, first.id, NOW)
        late = NOW + watching.UNDO_FOR + SECOND
        assert watching.restore(s, user.id, NOW, late) == 0
        watching.remove(s, user.id, second.id, NOW + watching.UNDO_FOR)
        assert s.scalar(select(func.count()).select_from(WatchProgress)) == 2
        watching.remove(s, user.id, second.id, NOW + watching.UNDO_FOR + SECOND)
        left = s.scalars(select(WatchProgress.vod_id)).all()
    assert left == [second.id]
