import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from aethex.lake import Lake, builds, refresh
from aethex.lake.build_records import (
    BUILDS_PREFIX,
    CURRENT_KEY,
    Build,
    UnknownBuild,
    current_build,
    from_json,
    list_builds,
    read_build,
    to_json,
)
from aethex.lake.builds import BuildFailed, publish_build
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.due import Due, due
from aethex.lake.models import load_models
from aethex.lake.refresh import run_due
from aethex.lake.runner import run_model
from tests.lake.marts import MINUTE, NOON, SavedWorld, World, days, saved_world, world_again
from tests.postgres_server import PostgresForTests


def fill(world: World) -> None:
    """One stream with three counts; nothing is built yet."""
    world.stream("st_1", NOON, NOON + 10 * MINUTE)
    world.count("st_1", NOON, [1, 2, 3])


def fill_and_build(world: World) -> None:
    fill(world)
    world.refresh()


@pytest.fixture(scope="module")
def filled(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SavedWorld]:
    with saved_world(postgres, tmp_path_factory.mktemp("filled"), fill) as state:
        yield state


@pytest.fixture(scope="module")
def first_built(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SavedWorld]:
    with saved_world(postgres, tmp_path_factory.mktemp("built"), fill_and_build) as state:
        yield state


@pytest.fixture
def world(filled: SavedWorld) -> Iterator[World]:
    with world_again(filled) as world:
        yield world


@pytest.fixture
def built(first_built: SavedWorld) -> Iterator[World]:
    """The world with its first build."""
    with world_again(first_built) as world:
        yield world


def first_build(world: World) -> Build:
    build = current_build(world.lake.store)
    assert build is not None
    return build


def test_before_the_first_build_there_is_none(lake: Lake) -> None:
    assert current_build(lake.store) is None
    with pytest.raises(UnknownBuild, match="build_x"):
        read_build(lake.store, "build_x")


def test_a_build_records_every_table_the_window_and_its_watermark(world: World) -> None:
    build = world.refresh().build
    store = world.lake.store
    assert current_build(store) == build == read_build(store, build.id)
    published = {
        name for name, table in {**load_models().tables, **DIM_TABLES}.items() if table.is_published
    }
    assert set(build.tables) == published
    assert build.window == 1
    assert build.fresh_until is not None
    samples = build.tables["stream_samples"]
    assert samples.rows == 3
    assert all(store.exists(file.key) for file in samples.files)
    assert [store.head(file.key).size_bytes for file in samples.files] == [
        file.size_bytes for file in samples.files
    ]
    assert from_json(to_json(build)) == build


def test_an_empty_lake_has_a_build_without_rows(lake: Lake) -> None:
    build = refresh.refresh(lake).build
    assert (build.window, build.fresh_until, build.rows) == (0, None, 0)


def test_nothing_due_keeps_the_build_and_moves_its_watermark_on(built: World) -> None:
    first = first_build(built)
    built.count("st_unknown", NOON, [5])  # a window that touches no stream of the dims
    second = built.refresh()
    assert second.due.is_empty
    assert second.build.id == first.id
    assert second.build.window == 2
    assert second.build.tables == first.tables
    assert first.fresh_until is not None
    assert second.build.fresh_until is not None
    assert second.build.fresh_until > first.fresh_until
    # the build's own record stays what it was
    assert read_build(built.lake.store, first.id) == first
    assert list_builds(built.lake.store) == [first.id]


def test_a_title_makes_a_new_build_without_a_commit_to_any_mart(built: World) -> None:
    first = first_build(built)
    built.stream("st_1", NOON, NOON + 10 * MINUTE, title="Another title")
    second = built.refresh()
    assert second.build.id != first.id
    assert not any(result.is_changed for result in second.results)
    assert second.due.days == ()
    for name in load_models().tables.keys() & first.tables.keys():
        assert second.build.tables[name].files == first.tables[name].files


def test_a_build_costs_what_changed(world: World) -> None:
    world.stream("st_2", NOON + timedelta(days=3), NOON + timedelta(days=3, minutes=10))
    world.count("st_2", NOON + timedelta(days=3), [1])
    first = world.refresh().build
    world.count("st_2", NOON + timedelta(days=3, minutes=1), [2])
    second = world.refresh()
    assert second.due.stream_days == second.due.days == days("2024-05-04")
    kept = set(first.tables["stream_samples"].files) & set(
        second.build.tables["stream_samples"].files
    )
    assert len(kept) == 1


def test_a_failing_build_check_publishes_nothing_and_the_days_stay_due(built: World) -> None:
    first = first_build(built)
    built.count("st_1", NOON + 3 * MINUTE, [4])
    found = due(built.lake)
    # the stream's own row is left behind what its minutes say
    for name in ("stream_samples", "stream_minutes"):
        run_only(built.lake, name, found)
    with pytest.raises(BuildFailed, match="minutes_sum_to_the_stream"):
        publish_build(built.lake, found)
    assert current_build(built.lake.store) == first
    assert list_builds(built.lake.store) == [first.id]
    assert due(built.lake) == found
    assert built.refresh().build.window == 2


def test_the_loser_of_a_swap_looks_again_and_leaves_no_record(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.count("st_1", NOON + 3 * MINUTE, [4])
    found = due(built.lake)
    run_due(built.lake, found)
    winners: list[str] = []
    original = builds._swap

    def another_comes_first(*args: object) -> object:
        if not winners:
            winners.append("")
            winners[0] = publish_build(built.lake, found).id
        return original(*args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(builds, "_swap", another_comes_first)
    loser = publish_build(built.lake, found)
    assert loser.id == winners[0]
    assert len(list_builds(built.lake.store)) == 2


def test_refreshes_at_once_agree_on_one_build(world: World) -> None:
    world.snapshot()
    made = at_once(3, lambda own: refresh.refresh(own).build.id, world.lake)
    assert len(set(made)) == 1
    assert list_builds(world.lake.store) == [made[0]]


def test_a_build_never_goes_back_behind_a_window_that_the_current_one_has(world: World) -> None:
    world.snapshot()
    early = due(world.lake)
    world.count("st_1", NOON + 3 * MINUTE, [4])
    later = world.refresh().build
    assert publish_build(world.lake, early) == later


def test_a_crash_at_any_step_leaves_the_same_due(built: World) -> None:
    built.count("st_1", NOON + 3 * MINUTE, [4])
    built.segment("st_1", 0, NOON, NOON + 5 * MINUTE)
    built.snapshot()
    found = due(built.lake)
    for name in load_models().tables:
        run_only(built.lake, name, found)
        assert due(built.lake) == found
    build = refresh.refresh(built.lake).build
    assert due(built.lake).is_empty
    assert build.tables["stream_samples"].rows == 4
    assert build.tables["segment_analytics"].rows == 1


@pytest.mark.parametrize(
    ("name", "renewed"),
    [
        ("channel_daily", {"channel_daily"}),
        ("stream_minutes", {"stream_minutes"}),
        (
            "stream_samples",
            {
                *("stream_samples", "stream_analytics", "stream_minutes", "segment_analytics"),
                "channel_daily",
            },
        ),
    ],
)
def test_a_changed_model_makes_all_its_days_due_and_those_of_its_readers(
    built: World, name: str, renewed: set[str]
) -> None:
    build = first_build(built)
    stale = {
        one: replace(table, fingerprint="older") if one == name else table
        for one, table in build.tables.items()
    }
    built.lake.store.put(CURRENT_KEY, to_json(replace(build, tables=stale)))
    found = due(built.lake)
    assert {one.name: one.days for one in found.models if one.days} == dict.fromkeys(
        renewed, days("2024-05-01")
    )
    again = refresh.refresh(built.lake).build
    assert again.tables[name].fingerprint == build.tables[name].fingerprint
    assert due(built.lake).is_empty


def test_records_are_plain_json_with_times_in_utc(built: World) -> None:
    build = first_build(built)
    raw = json.loads(built.lake.store.get(f"{BUILDS_PREFIX}{build.id}.json"))
    assert raw["fresh_until"].endswith("Z")
    assert {"key", "size_bytes", "rows"} == set(raw["tables"]["stream_samples"]["files"][0])


def run_only(lake: Lake, name: str, found: Due) -> None:
    """Run one model for its due days, as if what follows it had not come to run."""
    model = load_models()[name]
    for day in found.of(model):
        run_model(lake, model, day)


def at_once(number: int, work: Callable[[Lake], str], lake: Lake) -> list[str]:
    """What each of several threads, with a lake of its own, returns."""
    results: list[str] = []
    errors: list[BaseException] = []

    def one() -> None:
        try:
            with Lake.open(lake.settings) as own:
                results.append(work(own))
        except BaseException as error:  # the test reports it
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return results
