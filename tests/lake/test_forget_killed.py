"""A forgetting that is killed, or raced: the next one ends it, and with the same new id."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from aethex.lake.forget import ForgetFailed
from aethex.lake.forget_measures import measure
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.lake.turn import lake_turn
from aethex.lake.viewer_swap import Swap
from aethex.library import Forgetting, Library, User, forgetting
from aethex.pipelines import forget as whole
from aethex.pipelines.forget import forget_viewer
from tests.lake.forgetting import (
    GONE,
    POINTS,
    SHORT,
    STAYS,
    Platform,
    day_of_events,
    forgetter,
    landed,
    platform_again,
    saved_platform,
    waiting,
)
from tests.lake.publisher import publisher
from tests.lake.test_forget import WITH_VIEWERS, files_with
from tests.postgres_server import PostgresForTests
from tests.saved import Saved
from tests.soak import some_now


@pytest.fixture(scope="module")
def built(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved[None]]:
    with saved_platform(postgres, tmp_path_factory.mktemp("built"), days=1) as state:
        yield state


@pytest.fixture
def platform(built: Saved[None]) -> Iterator[Platform]:
    with platform_again(built) as platform:
        yield platform


def journal(library: Library) -> list[Forgetting]:
    with library.session() as s:
        return [*s.scalars(select(Forgetting).order_by(Forgetting.id))]


def assert_forgotten(platform: Platform) -> None:
    """One new id is everywhere in the place of the old one, in lake and library."""
    assert files_with(platform, GONE) == []
    (new,) = platform.viewers("dim_channel_owners", "owner_id")
    for table, column in WITH_VIEWERS.items():
        assert platform.viewers(table, column) <= {new, STAYS, SHORT}, table
    assert waiting(platform.library) == [new, "usr_other"]
    with platform.library.session() as s:
        assert forgetting.search(s, GONE, is_unmistakable=True) == {}
        assert {*s.scalars(select(User.id))} == {new, "usr_other"}
    (row,) = journal(platform.library)
    assert row.finished_at is not None
    assert "key" not in row.counts


@pytest.mark.parametrize(
    "point",
    some_now(
        POINTS,
        *("objects written", "exchanged", "some deleted", "finishing"),
    ),
)
def test_killed_at_any_point_it_is_finished_by_the_next(platform: Platform, point: str) -> None:
    swap = Swap(GONE, "usr_new")
    before = measure(platform.lake, swap)
    with forgetter(platform.settings, point) as killed:
        killed.wait_for(point)
    (row,) = journal(platform.library)
    assert row.finished_at is None
    new = forgetting.new_id_of(row, GONE)
    report = platform.forget()
    assert report.is_resumed
    assert_forgotten(platform)
    assert platform.viewers("dim_channel_owners", "owner_id") == {new}
    # digests are of ids too; with the same one in its place they are what they were
    again = measure(platform.lake, Swap(new, "usr_new"))
    assert before.differences(again) == []
    publish(platform.lake)
    assert platform.viewers("playback_events") == {new, STAYS, SHORT}
    assert not platform.forget().is_found


def test_what_lands_while_it_runs_is_forgotten_too(platform: Platform) -> None:
    with forgetter(platform.settings, "manifests merged") as running:
        running.wait_for("manifests merged")
        land(platform.lake, landed(day_of_events(2)))
        running.finish()
    assert_forgotten(platform)


def test_it_waits_for_a_publisher_that_has_the_turn(platform: Platform) -> None:
    waits = threading.Event()
    done: list[bool] = []

    def tell(text: str, _share: float | None) -> None:
        if text.startswith("Waiting"):
            waits.set()

    def forget() -> None:
        done.append(forget_viewer(platform.settings, GONE, tell).is_found)

    thread = threading.Thread(target=forget)
    with lake_turn(platform.settings):
        thread.start()
        assert waits.wait(60)
        assert len(publish(platform.lake)) == 1
        assert done == []
    thread.join(120)
    assert done == [True]
    assert_forgotten(platform)


def test_who_publishes_without_a_turn_costs_it_another_run(platform: Platform) -> None:
    with forgetter(platform.settings, "new files written") as running:
        running.wait_for("new files written")
        publish(platform.lake)
        with pytest.raises(AssertionError):
            running.finish()  # the tables have more rows than before: it cannot say why
    report = platform.forget()
    assert report.is_resumed
    assert_forgotten(platform)
    rows = len(day_of_events(0)) + len(day_of_events(1))
    tables = ("playback_events", "chat_messages", "follow_events", "engagement_events")
    assert sum(len(platform.rows(table)) for table in tables) == rows


def test_files_that_somebody_without_a_turn_is_about_to_name_are_left_to_them(
    platform: Platform,
) -> None:
    with forgetter(platform.settings, "begun") as running:
        running.wait_for("begun")
        with publisher(platform.settings, "files written") as publishing:
            publishing.wait_for("files written")
            with pytest.raises(AssertionError):
                running.finish()  # the id is still in the file that was written meanwhile
            publishing.finish()
    assert len(platform.rows("chat_messages")) == 12
    assert platform.forget().is_resumed
    assert_forgotten(platform)
    assert len(platform.rows("chat_messages")) == 12


def test_a_viewer_who_never_stops_is_named_in_one_line(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_found = whole.forget_found

    def while_more_comes_in(*args: object) -> object:
        done = forget_found(*args)  # pyright: ignore[reportArgumentType]
        land(platform.lake, landed(day_of_events(2)))
        return done

    monkeypatch.setattr(whole, "forget_found", while_more_comes_in)
    with pytest.raises(ForgetFailed, match=r"still in 1 objects .first: landing/.*run this again"):
        platform.forget()
    monkeypatch.undo()
    assert platform.forget().is_resumed
    assert_forgotten(platform)


def test_two_at_once_take_turns(platform: Platform) -> None:
    threads = [threading.Thread(target=platform.forget) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert_forgotten(platform)
