"""Two real marathons: our numbers are the ones that their author published for each run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from aethex.lake import Lake, analytics
from aethex.lake.connections import open_build
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.settings import Settings
from tests.lake.marts import World, landed_counts
from tests.postgres_server import PostgresForTests

EVENTS = ("agdq2020", "sgdq2017")
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def con(
    shared_data: Path, postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A build of both marathons, each one stream of one channel, their runs as segments."""
    with postgres.fresh_database() as url:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path_factory.mktemp("gdq"),
            database_url=url,
        )
        with Lake.open(settings) as lake:
            world = World(lake)
            for event in EVENTS:
                add_marathon(world, shared_data / "gdq", event)
            publish(lake)
            world.refresh()
            yield open_build(lake, settings)


def add_marathon(world: World, folder: Path, event: str) -> None:
    counts = read(folder, event, "latest")
    times = [naive(row["time"]) for row in counts]
    world.stream(event, times[0], times[-1] + MINUTE, title=event)
    for position, (begin, length) in enumerate(slots(folder, event).values()):
        world.segment(event, position, begin, begin + length)
    rows = [(at, row["v"], row["c"]) for at, row in zip(times, counts, strict=True)]
    land(world.lake, landed_counts(event, rows))


def read(folder: Path, event: str, name: str) -> list[dict[str, Any]]:
    return json.loads((folder / f"{event}_{name}.json").read_text(encoding="utf-8"))


def naive(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def slots(folder: Path, event: str) -> dict[tuple[str, int], tuple[datetime, timedelta]]:
    """Begin and length of every run, by name and place in the schedule."""
    found: dict[tuple[str, int], tuple[datetime, timedelta]] = {}
    for place, run in enumerate(read(folder, event, "schedule")):
        hours, minutes, seconds = map(int, run["duration"].split(":"))
        length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        found[run["name"], place] = (naive(run["start_time"]), length)
    return found


@pytest.mark.parametrize(("event", "matched"), [("agdq2020", 139), ("sgdq2017", 141)])
def test_every_run_has_the_published_peak_and_chats(
    con: duckdb.DuckDBPyConnection, shared_data: Path, event: str, matched: int
) -> None:
    folder = shared_data / "gdq"
    ours: dict[str, set[tuple[int | None, int | None]]] = {}
    for (name, _), (begin, length) in slots(folder, event).items():
        # the author counted both ends of a run's window
        end = begin + length + timedelta(seconds=1)
        summary = analytics.viewers_chart(con, event, begin, end).summary
        ours.setdefault(name, set()).add((summary.peak_viewers, summary.messages))
    published = [run for run in read(folder, event, "games_stats") if run["name"] in ours]
    wrong = [
        run["name"]
        for run in published
        if (run["max_viewers"], run["num_chats"]) not in ours[run["name"]]
    ]
    assert wrong == []
    assert len(published) == matched


def test_agdq_2020_as_a_whole(con: duckdb.DuckDBPyConnection) -> None:
    audience = analytics.stream_summary(con, "agdq2020").audience
    assert audience.peak_viewers == 237_523
    assert (audience.samples, audience.null_samples, audience.messages) == (10_242, 473, 863_623)
    assert audience.live_seconds == 10_243 * 60.0  # one minute of the week has no row at all
    assert audience.coverage_ratio == pytest.approx(586_290 / 614_580)
    assert audience.average_viewers == pytest.approx(70_464_378_690 / 586_290)


def test_days_and_segments_and_points_agree_with_the_stream(
    con: duckdb.DuckDBPyConnection,
) -> None:
    whole = analytics.channel_summary(con, "ch_1").audience
    days = [day.audience for day in analytics.channel_days(con, "ch_1")]
    assert len(days) == 17
    assert sum(day.viewer_seconds or 0 for day in days) == whole.viewer_seconds
    assert sum(day.covered_seconds or 0 for day in days) == whole.covered_seconds
    assert sum(day.messages or 0 for day in days) == whole.messages == 4_071_239
    for segment in analytics.stream_segments(con, "agdq2020")[:20]:
        chart = analytics.viewers_chart(con, "agdq2020", segment.started_at, segment.ended_at)
        assert chart.summary == segment.audience
    few = analytics.viewers_chart(con, "sgdq2017", max_points=500)
    assert len(few.points) <= 500
    assert max(p.viewers or 0 for p in few.points) == few.summary.peak_viewers == 220_473
    assert sum(p.messages or 0 for p in few.points) == few.summary.messages
