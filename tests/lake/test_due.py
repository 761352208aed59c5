from datetime import timedelta

from aethex.lake import Lake
from aethex.lake.build_records import current_build
from aethex.lake.due import Due, due
from aethex.lake.publish import publish
from tests.lake.marts import MINUTE, NOON, World, days, worlds

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
END = NOON + 4 * DAY


def fill(world: World) -> None:
    """A marathon of five days, a short stream on its second day, and one still live; all built."""
    world.stream("st_long", NOON, END)
    world.stream("st_short", NOON + DAY, NOON + DAY + HOUR, channel_id="ch_2")
    world.stream("st_live", NOON + 2 * DAY, None, channel_id="ch_3")
    for stream_id in ("st_long", "st_short", "st_live"):
        world.land(stream_id, world.streams[stream_id]["started_at"], [1, 2, 3])
    publish(world.lake)
    world.refresh()


built, world = worlds(fill)


def found(world: World) -> tuple[Due, bool]:
    """What is due, and whether all of it is done by one refresh."""
    world.snapshot()
    first = due(world.lake)
    world.refresh()
    return first, due(world.lake).is_empty


def test_the_first_build_needs_every_day_that_a_stream_covers(lake: Lake) -> None:
    world = World(lake)
    world.stream("st_1", NOON, NOON + DAY + HOUR)
    world.stream("st_2", NOON + 9 * DAY, NOON + 9 * DAY + HOUR)
    world.snapshot()
    first = due(lake)
    assert first.stream_days == days("2024-05-01", "2024-05-10")
    assert first.days == days("2024-05-01", "2024-05-02", "2024-05-10")
    assert (first.window, first.fresh_until) == (0, None)


def test_nothing_is_due_after_a_refresh(world: World) -> None:
    assert found(world)[0].is_empty


def test_a_sample_makes_its_stream_s_day_due_and_the_days_that_its_hold_can_reach(
    world: World,
) -> None:
    world.count("st_long", NOON + 2 * DAY, [9])
    first, is_done = found(world)
    assert first.stream_days == days("2024-05-01")
    assert first.days == days("2024-05-02", "2024-05-03", "2024-05-04")
    assert is_done


def test_a_sample_of_a_short_stream_touches_its_own_day_only(world: World) -> None:
    world.count("st_short", NOON + DAY + 10 * MINUTE, [9])
    first, is_done = found(world)
    assert first.stream_days == first.days == days("2024-05-02")
    assert is_done


def test_a_new_sample_of_a_live_stream_reaches_back_to_its_last_one(world: World) -> None:
    world.count("st_live", NOON + 5 * DAY, [9])
    first, is_done = found(world)
    assert first.stream_days == days("2024-05-03")
    assert first.days == days("2024-05-03", "2024-05-04", "2024-05-05", "2024-05-06")
    assert is_done
    # a live stream that got nothing new costs nothing
    world.count("st_short", NOON + DAY + 11 * MINUTE, [9])
    assert found(world)[0].days == days("2024-05-02")


def test_an_end_that_moves_makes_the_days_between_due(world: World) -> None:
    world.stream("st_long", NOON, END - 2 * DAY)
    first, is_done = found(world)
    assert first.stream_days == days("2024-05-01")
    assert first.days == days("2024-05-03", "2024-05-04", "2024-05-05")
    assert is_done


def test_a_live_stream_that_ends_makes_the_days_since_its_last_sample_due(world: World) -> None:
    world.stream("st_live", NOON + 2 * DAY, NOON + 4 * DAY, channel_id="ch_3")
    first, is_done = found(world)
    assert first.stream_days == days("2024-05-03")
    assert set(days("2024-05-03", "2024-05-04", "2024-05-05")) <= set(first.days)
    assert is_done


def test_a_stream_that_moves_to_another_day_empties_the_old_one(world: World) -> None:
    world.stream("st_short", NOON + 10 * DAY, NOON + 10 * DAY + HOUR, channel_id="ch_2")
    first, is_done = found(world)
    assert first.stream_days == first.days == days("2024-05-02", "2024-05-11")
    assert is_done


def test_a_stream_that_is_gone_takes_its_days_along(world: World) -> None:
    del world.streams["st_short"]
    first, is_done = found(world)
    assert first.stream_days == first.days == days("2024-05-02")
    assert is_done


def test_a_segment_makes_its_stream_s_day_due_and_no_day_of_the_channel(world: World) -> None:
    world.segment("st_long", 0, NOON, NOON + HOUR)
    first, is_done = found(world)
    assert (first.stream_days, first.days) == (days("2024-05-01"), ())
    assert is_done


def test_a_channel_s_new_name_makes_nothing_due(world: World) -> None:
    world.channels["ch_1"]["title"] = "A new name"
    first, is_done = found(world)
    assert first.is_empty
    assert is_done


def test_when_the_old_dim_files_are_gone_everything_is_due(world: World) -> None:
    world.stream("st_short", NOON + DAY, NOON + DAY + 2 * HOUR, channel_id="ch_2")
    world.snapshot()
    build = current_build(world.lake.store)
    assert build is not None
    world.lake.store.delete([file.key for file in build.tables["dim_streams"].files])
    assert due(world.lake).stream_days == days("2024-05-01", "2024-05-02", "2024-05-03")
