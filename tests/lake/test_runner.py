import threading
from dataclasses import replace
from datetime import date, timedelta

import pytest

from aethex.lake import Lake
from aethex.lake.models import Model, load_models
from aethex.lake.runner import ModelRunError, run_model
from tests.lake.marts import MINUTE, NOON, World, worlds

DAY = NOON.date()


def fill(world: World) -> None:
    """Two streams of one day with a count a minute."""
    world.stream("st_1", NOON, NOON + 5 * MINUTE)
    world.stream("st_2", NOON, NOON + 5 * MINUTE)
    world.snapshot()
    world.count("st_1", NOON, [1, 2, None, 4, 5])
    world.count("st_2", NOON, [10, 20, 30, 40, 50])


built, world = worlds(fill)


def rows(lake: Lake, model: Model) -> list[dict[str, object]]:
    return lake.table(model.table).scan().to_arrow().sort_by("stream_id").to_pylist()


def snapshots(lake: Lake, model: Model) -> int:
    return len(lake.table(model.table).snapshots())


def test_a_run_writes_its_day_and_a_second_run_finds_nothing_to_change(world: World) -> None:
    model = load_models()["stream_samples"]
    first = run_model(world.lake, model, DAY)
    written = rows(world.lake, model)
    commits = snapshots(world.lake, model)
    second = run_model(world.lake, model, DAY)
    assert (first.rows, first.is_changed) == (10, True)
    assert (second.rows, second.is_changed, second.snapshot_id) == (10, False, first.snapshot_id)
    assert rows(world.lake, model) == written
    assert snapshots(world.lake, model) == commits


def test_a_run_replaces_its_own_day_and_no_other(world: World) -> None:
    model = load_models()["stream_samples"]
    later = NOON + timedelta(days=1)
    world.stream("st_3", later, later + 5 * MINUTE)
    world.snapshot()
    world.count("st_3", later, [7])
    run_model(world.lake, model, DAY)
    run_model(world.lake, model, later.date())
    world.count("st_1", NOON + 2 * MINUTE, [3], source="again")
    assert run_model(world.lake, model, DAY).rows == 10
    found = [
        (r["stream_id"], r["viewers"]) for r in rows(world.lake, model) if r["stream_id"] != "st_2"
    ]
    assert sorted(found, key=str) == [("st_1", n) for n in (1, 2, 3, 4, 5)] + [("st_3", 7)]


def test_a_day_without_rows_any_more_is_deleted(world: World) -> None:
    model = load_models()["stream_samples"]
    run_model(world.lake, model, DAY)
    world.streams.clear()
    world.snapshot()
    result = run_model(world.lake, model, DAY)
    assert (result.rows, result.is_changed) == (0, True)
    assert rows(world.lake, model) == []
    assert run_model(world.lake, model, DAY).is_changed is False


def test_a_run_reads_the_files_of_its_days_only(world: World) -> None:
    model = load_models()["stream_samples"]
    for n in range(1, 6):
        begin = NOON + timedelta(days=n)
        world.stream(f"st_day_{n}", begin, begin + 5 * MINUTE)
        world.count(f"st_day_{n}", begin, [n])
    world.snapshot()
    # the streams' one event file of that day, and the dim
    assert run_model(world.lake, model, (NOON + timedelta(days=3)).date()).files_read == 2
    assert run_model(world.lake, model, DAY).files_read == 3
    assert run_model(world.lake, model, date(2020, 1, 1)).files_read == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("AS hold_seconds", "AS held_seconds", "has no column 'hold_seconds'"),
        ("viewers,\n    messages,\n", "messages,\n    viewers,\n", "in another order"),
        ("viewers,\n", "CAST(viewers AS DOUBLE) AS viewers,\n", "'viewers' is double, declared"),
        (
            "channel_id,\n",
            "nullif(channel_id, 'ch_1') AS channel_id,\n",
            "'channel_id' is required and has 10 nulls",
        ),
        (
            "sampled_at,\n",
            "CAST('2024-05-01' AS TIMESTAMP) AS sampled_at,\n",
            "the key .* occurs twice in 8 rows",
        ),
    ],
)
def test_rows_that_are_not_as_declared_stop_the_run(
    world: World, old: str, new: str, words: str
) -> None:
    model = load_models()["stream_samples"]
    head, _, tail = model.sql.rpartition(old)
    broken = replace(model, sql=f"{head}{new}{tail}")
    with pytest.raises(ModelRunError, match=words):
        run_model(world.lake, broken, DAY)
    assert rows(world.lake, model) == []


def test_a_check_that_finds_rows_stops_the_run_and_shows_them(world: World) -> None:
    model = load_models()["stream_samples"]
    broken = replace(model, sql=model.sql.replace("INTERVAL '150' SECOND", "INTERVAL '151' SECOND"))
    world.stream("st_1", NOON, NOON + 60 * MINUTE)
    world.snapshot()
    with pytest.raises(ModelRunError, match=r"holds_are_possible .* hold_seconds=151\.0"):
        run_model(world.lake, broken, DAY)
    assert rows(world.lake, model) == []


def test_runs_of_the_same_and_of_other_days_at_once_all_land_once(world: World) -> None:
    model = load_models()["stream_samples"]
    starts = [NOON + timedelta(days=n) for n in range(3)]
    for n, begin in enumerate(starts[1:], start=3):
        world.stream(f"st_{n}", begin, begin + 5 * MINUTE)
        world.count(f"st_{n}", begin, [n, n])
    world.snapshot()
    errors: list[BaseException] = []

    def work(day: date) -> None:
        try:
            with Lake.open(world.lake.settings) as own:
                run_model(own, model, day)
        except BaseException as error:  # the test reports it
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(begin.date(),)) for begin in starts for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = rows(world.lake, model)
    assert len(found) == 14
    assert len({(r["stream_id"], r["sampled_at"]) for r in found}) == 14
