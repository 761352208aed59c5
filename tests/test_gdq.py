"""The main promise, on two real marathons: imported by the command line, answered by the API.

Their author published each run's greatest number of viewers and its chat messages. He counted both
ends of a run's window; ours is half open, so the question is asked with one second more. A name
that is scheduled twice takes its better-fitting slot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aethex.service.app import create_app
from aethex.settings import Settings
from tests.commands import Commands
from tests.postgres_server import PostgresForTests
from tests.service.conftest import Client, serving

CHART = "/api/analytics/charts/viewers"
MARATHONS = {"agdq2020": "AGDQ 2020", "sgdq2017": "SGDQ 2017"}


@dataclass(frozen=True)
class Published:
    """A run as its author published it, and the slots that have its name."""

    name: str
    max_viewers: int
    messages: int
    slots: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True)
class World:
    """A service over both imported marathons, and the reports of the commands that brought them."""

    aethex: Commands
    client: Client
    reports: dict[str, dict[str, Any]]
    refreshed: dict[str, Any]

    def chart(self, marathon: str, start: datetime, end: datetime) -> dict[str, Any]:
        question = {
            "stream_id": self.reports[marathon]["stream_id"],
            "from": _text(start),
            "to": _text(end),
        }
        answer = self.client.get(CHART, params=question)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def world(
    shared_data: Path, postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Both marathons imported (viewers and segments) and refreshed, by the commands people use."""
    folder = tmp_path_factory.mktemp("gdq")
    with postgres.fresh_database() as url:
        aethex = Commands(folder / "data", url)
        reports: dict[str, dict[str, Any]] = {}
        for key, title in MARATHONS.items():
            files = shared_data / "gdq"
            stream = ("--channel", "gdq", "--stream", title, "--json")
            fields = ("--time-field", "time", "--viewers-field", "v", "--chat-field", "c")
            viewers = aethex("import", "viewers", files / f"{key}_latest.json", *stream, *fields)
            assert viewers.code == 0, viewers.stderr
            segments = aethex("import", "segments", files / f"{key}_schedule.json", *stream)
            assert segments.code == 0, segments.stderr
            reports[key] = {"segments": segments.report, **viewers.report}
        refreshed = aethex("pipeline", "refresh", "--json")
        assert refreshed.code == 0, refreshed.stderr
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=folder / "data",
            database_url=url,
        )
        with serving(create_app(settings)) as client:
            yield World(aethex, client, reports, refreshed.report)


def test_the_import_reports_every_row_of_agdq_2020(world: World) -> None:
    report = world.reports["agdq2020"]
    assert (report["rows_read"], report["imported"], report["null_viewers"]) == (10242, 10242, 473)
    assert report["rejected"] == {}
    assert report["segments"]["added"] == report["segments"]["rows_read"] == 139


def test_agdq_2020_as_a_whole(world: World) -> None:
    chart = world.chart(
        "agdq2020", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 31, tzinfo=UTC)
    )
    summary = chart["summary"]
    assert summary["peak_viewers"] == 237_523
    assert summary["messages"] == 863_623
    # 473 failed polls leave gaps; each sample stands for 150 s at most.
    assert 0.9 < summary["coverage_ratio"] < 1
    assert len(chart["points"]) <= 1000


@pytest.mark.parametrize("marathon", MARATHONS)
def test_every_run_has_its_published_viewers_and_messages(
    world: World, shared_data: Path, marathon: str
) -> None:
    runs = _published_runs(shared_data / "gdq", marathon)
    assert len(runs) > 100
    wrong = {
        run.name: (run.max_viewers, run.messages, found)
        for run in runs
        if (run.max_viewers, run.messages) not in (found := _measured(world, marathon, run))
    }
    assert wrong == {}


def test_importing_again_and_overlapping_doubles_nothing(
    world: World, shared_data: Path, tmp_path: Path
) -> None:
    whole = json.loads((shared_data / "gdq" / "agdq2020_latest.json").read_text())
    stream = ("--channel", "gdq", "--stream", "AGDQ 2020", "--json")
    again = world.aethex("import", "viewers", shared_data / "gdq" / "agdq2020_latest.json", *stream)
    assert (again.report["imported"], again.report["already_present"]) == (0, len(whole))

    part = tmp_path / "overlaps.ndjson"
    later = datetime.fromisoformat(whole[-1]["time"]) + timedelta(minutes=1)
    rows = [*whole[-50:], {"time": later.isoformat(), "v": 12, "c": 3}]
    part.write_text("\n".join(json.dumps(row) for row in rows))
    overlapping = world.aethex("import", "viewers", part, *stream).report
    assert (overlapping["imported"], overlapping["already_present"]) == (1, 50)

    start, end = datetime(2020, 1, 1, tzinfo=UTC), later
    before = world.chart("agdq2020", start, end)
    refreshed = world.aethex("pipeline", "refresh", "--json")
    assert refreshed.report["rows_published"] == 1
    assert world.chart("agdq2020", start, end)["summary"] == before["summary"]


def _measured(world: World, marathon: str, run: Published) -> list[tuple[int, int]]:
    """Viewers and messages of each slot of that name."""
    answers = [
        world.chart(marathon, start, end + timedelta(seconds=1))["summary"]
        for start, end in run.slots
    ]
    return [(answer["peak_viewers"], answer["messages"]) for answer in answers]


def _published_runs(folder: Path, marathon: str) -> list[Published]:
    """The runs whose name the published numbers and the schedule share."""
    slots: dict[str, list[tuple[datetime, datetime]]] = {}
    for entry in json.loads((folder / f"{marathon}_schedule.json").read_text()):
        start = datetime.fromisoformat(entry["start_time"]).replace(tzinfo=UTC)
        hours, minutes, seconds = (int(part) for part in entry["duration"].split(":"))
        end = start + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        slots.setdefault(entry["name"], []).append((start, end))
    return [
        Published(game["name"], game["max_viewers"], game["num_chats"], tuple(slots[game["name"]]))
        for game in json.loads((folder / f"{marathon}_games_stats.json").read_text())
        if game["name"] in slots
    ]


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
