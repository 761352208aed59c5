"""`aethex pipeline maintain`: what it prints and returns, and what a kill in the middle leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from aethex.assets.maintenance import LANDING_CHECK
from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.publish import publish, republish
from aethex.lake.rewrite import live_files
from aethex.pipelines.instance import open_instance, prepare_storage
from aethex.pipelines.maintain import COMMAND, maintain
from aethex.settings import Settings
from tests.commands import Commands
from tests.lake.events import published_minutes, snapshots
from tests.saved import lakes
from tests.soak import some_now

MAINTAIN = """
from aethex.pipelines.maintain import maintain
from aethex.settings import get_settings
maintain(get_settings(), lambda text: print(text, flush=True))
"""


def fill(lake: Lake) -> None:
    """Three published windows of five rows of one day, and Dagster's tables."""
    for n in range(3):
        land(lake, snapshots(range(n * 5, n * 5 + 5)))
        publish(lake)
    prepare_storage(lake.settings)


kept, filled = lakes(fill)


@pytest.fixture
def settings(filled: Lake) -> Settings:
    return filled.settings


@pytest.fixture
def aethex(settings: Settings) -> Commands:
    """The command where landing is cleaned up as soon as it is published."""
    return Commands(settings.data_dir, settings.database_url, {"landing_keep_days": "0"})


def landed(lake: Lake) -> int:
    return len(list(lake.store.list("landing")))


def test_it_reports_what_it_did_to_people(aethex: Commands, filled: Lake) -> None:
    outcome = aethex("pipeline", "maintain")
    assert (outcome.code, outcome.stderr) == (0, "")
    said = {" ".join(line.split()) for line in outcome.stdout.splitlines()}
    assert {"Maintained", "files 3 to 1", "rows 15", "groups compacted 1"} <= said
    assert {"windows cleaned up 3", "landing objects deleted 3"} <= said
    assert landed(filled) == 0
    assert published_minutes(filled) == list(range(15))


def test_it_reports_what_it_did_to_machines(
    aethex: Commands, filled: Lake, settings: Settings
) -> None:
    outcome = aethex("pipeline", "maintain", "--json")
    assert outcome.code == 0
    report = outcome.report
    assert (report["files_before"], report["files_after"], report["rows"]) == (3, 1, 15)
    assert (report["windows_cleaned"], report["is_done"], report["failed_checks"]) == (3, True, [])
    assert report["landing_stopped"] is None
    tables = {record["table"]: record for record in report["tables"]}
    assert tables[VIEWER_SNAPSHOTS.name]["files_after"] == 1
    assert published_minutes(filled) == list(range(15))
    with open_instance(settings) as instance:
        run = instance.get_run_by_id(report["run_id"])
    assert run is not None
    assert (run.job_name, run.tags["aethex/started_by"]) == ("maintenance_job", COMMAND)


def test_a_window_that_is_not_proven_is_named_and_ends_it_with_1(
    aethex: Commands, filled: Lake
) -> None:
    filled.table(VIEWER_SNAPSHOTS).delete("viewers == 7")  # a row of the second window
    outcome = aethex("pipeline", "maintain", "--json")
    assert outcome.code == 1
    assert outcome.stderr.startswith("Error: window 2 does not add up")
    assert outcome.stderr.count("\n") == 1
    assert outcome.report["failed_checks"] == [LANDING_CHECK]
    assert outcome.report["landing_stopped"] in outcome.stderr
    assert (outcome.report["windows_cleaned"], landed(filled)) == (1, 2)

    republish(filled, 2)
    assert aethex("pipeline", "maintain").code == 0
    assert landed(filled) == 0
    assert published_minutes(filled) == list(range(15))


def test_it_says_when_time_was_over(settings: Settings, filled: Lake) -> None:
    hurried = {"maintenance_budget_seconds": "0.000001"}
    outcome = Commands(settings.data_dir, settings.database_url, hurried)("pipeline", "maintain")
    assert outcome.code == 0
    assert "Maintained as far as time allowed" in outcome.stdout
    assert landed(filled) == 3


@pytest.mark.parametrize(
    "step",
    some_now(
        ["Compacting", "Expiring", "Cleaning up landing: window 2"],
        "Cleaning up landing: window 2",
    ),
)
def test_a_maintenance_that_was_killed_is_made_good_by_the_next(
    settings: Settings, filled: Lake, step: str
) -> None:
    settings = settings.model_copy(update={"landing_keep_days": 0.0})
    environment = {
        **os.environ,
        "AETHEX_DATA_DIR": str(settings.data_dir),
        "AETHEX_DATABASE_URL": settings.database_url or "",
        "AETHEX_LANDING_KEEP_DAYS": "0",
    }
    victim = subprocess.Popen(
        [sys.executable, "-c", MAINTAIN], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    while not (line := victim.stdout.readline()).startswith(step):
        assert line, f"it ended without: {step}"
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert published_minutes(filled) == list(range(15))
    told: list[str] = []
    report = maintain(settings, told.append)
    assert told[0].startswith("Looking at the tables")
    assert (report.is_done, report.failed_checks, report.files_after) == (True, (), 1)
    assert landed(filled) == 0
    assert len(live_files(filled.table(VIEWER_SNAPSHOTS))) == 1
    assert published_minutes(filled) == list(range(15))
