"""A refresh from end to end: landed counts and records in, a build that readers see out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from aethex.imports import import_viewers
from aethex.lake import Lake
from aethex.lake.analytics import stream_summary
from aethex.lake.build_records import Build, current_build
from aethex.lake.connections import open_build
from aethex.library import Library
from aethex.pipelines.instance import open_instance
from aethex.pipelines.refresh import RefreshReport, refresh
from aethex.pipelines.runs import RunFailed
from aethex.postgres import DatabaseUnreachable
from aethex.settings import Settings
from tests.pipelines.streams import add_stream
from tests.postgres_server import PostgresForTests
from tests.saved import Saved, saved

REFRESH = """
import sys
from aethex.pipelines.refresh import refresh
from aethex.settings import get_settings
report = refresh(get_settings(), lambda text: print(text, flush=True))
print(report.build_id)
"""


@dataclass(frozen=True)
class Refreshed:
    """Two streams, one of them years before the other, after their first refresh."""

    settings: Settings
    library: Library
    lake: Lake
    stream_id: str
    first: RefreshReport


def _refresh_first(settings: Settings) -> tuple[str, RefreshReport]:
    old = datetime(2017, 7, 2, 12, 0, tzinfo=UTC)
    with Library.open(settings) as library, Lake.open(settings) as lake:
        add_stream(library, lake, [1, 2, 3], title="SGDQ", started_at=old)
        stream_id = add_stream(library, lake, [10, 20])
    return stream_id, refresh(settings)


@pytest.fixture(scope="module")
def kept(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved[tuple[str, RefreshReport]]]:
    with saved(postgres, tmp_path_factory.mktemp("kept"), _refresh_first) as state:
        yield state


@pytest.fixture
def refreshed(kept: Saved[tuple[str, RefreshReport]]) -> Iterator[Refreshed]:
    with (
        kept.again() as (settings, (stream_id, first)),
        Library.open(settings) as library,
        Lake.open(settings) as lake,
    ):
        yield Refreshed(settings, library, lake, stream_id, first)


def peak(settings: Settings, stream_id: str) -> int | None:
    """The stream's peak as readers of the current build see it."""
    with Lake.open(settings) as lake, open_build(lake, settings) as con:
        summary = stream_summary(con, stream_id)
    return summary.audience.peak_viewers


def build_of(settings: Settings) -> Build:
    with Lake.open(settings) as lake:
        build = current_build(lake.store)
    assert build is not None
    return build


def refresh_elsewhere(settings: Settings) -> subprocess.Popen[str]:
    """A refresh in a process of its own."""
    environment = {
        **os.environ,
        "AETHEX_DATA_DIR": str(settings.data_dir),
        "AETHEX_DATABASE_URL": settings.database_url or "",
    }
    return subprocess.Popen(
        [sys.executable, "-c", REFRESH],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_has_landed_shows_in_the_marts(
    settings: Settings, library: Library, lake: Lake
) -> None:
    stream_id = add_stream(library, lake, [10, 20, None, 40, 30])
    told: list[str] = []
    report = refresh(settings, told.append)
    assert peak(settings, stream_id) == 40
    assert report.build_id == build_of(settings).id
    assert (report.windows_published, report.rows_published, report.duplicates) == (1, 5, 0)
    assert report.records_changed == 2  # a channel and a stream
    assert report.days_computed == 2  # it runs from 23:58 to 00:03
    assert report.is_new_build
    assert len(told) == 3

    with open_instance(settings) as instance:
        assert {run.job_name for run in instance.get_runs()} == {"publish_job", "models_job"}
        days = instance.get_materialized_partitions(dg.AssetKey("channel_daily"))
        assert days == {"2020-01-05", "2020-01-06"}


def test_with_nothing_due_the_build_stays_and_is_fresher(refreshed: Refreshed) -> None:
    settings, first = refreshed.settings, refreshed.first
    second = refresh(settings)
    assert not second.is_new_build
    assert second.build_id == first.build_id
    assert second.days_computed == second.rows_published == second.records_changed == 0
    assert first.fresh_until is not None
    assert second.fresh_until is not None
    assert first.fresh_until < second.fresh_until
    assert build_of(settings).fresh_until == second.fresh_until


def test_a_stream_that_grew_is_computed_again_and_others_are_not(refreshed: Refreshed) -> None:
    settings = refreshed.settings
    # overlaps, and is one minute longer
    add_stream(refreshed.library, refreshed.lake, [10, 20, 70])
    report = refresh(settings)
    assert (report.rows_published, report.duplicates) == (1, 2)
    assert peak(settings, refreshed.stream_id) == 70
    assert report.days_computed == 2
    with open_instance(settings) as instance:
        run = instance.get_run_by_id(report.run_ids[1])
        assert run is not None
        assert run.tags["dagster/partition"] == "2020-01-06"


def test_days_outside_of_the_partitions_are_computed_all_the_same(
    settings: Settings, library: Library, lake: Lake
) -> None:
    ages_ago = datetime(1999, 12, 31, 23, 59, tzinfo=UTC)
    ahead = datetime.now(UTC) + timedelta(days=400)
    old = add_stream(library, lake, [7, 8], title="Old", started_at=ages_ago)
    new = add_stream(library, lake, [5, 6], title="Ahead", started_at=ahead)
    refresh(settings)
    assert (peak(settings, old), peak(settings, new)) == (8, 6)


def test_two_refreshes_at_once_both_succeed_and_agree(
    settings: Settings, library: Library, lake: Lake
) -> None:
    stream_id = add_stream(library, lake, [10, 20, 30])
    with open_instance(settings):
        pass  # Dagster's tables, which `aethex up` makes before anything runs
    running = [refresh_elsewhere(settings) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    assert {out.splitlines()[-1] for out, _ in ended} == {build_of(settings).id}
    assert peak(settings, stream_id) == 30


def test_a_refresh_that_was_killed_is_made_good_by_the_next(
    settings: Settings, library: Library, lake: Lake
) -> None:
    stream_id = add_stream(library, lake, [10, 20, 30])
    victim = refresh_elsewhere(settings)
    assert victim.stdout is not None
    while not victim.stdout.readline().startswith("Computing"):
        assert victim.poll() is None
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    refresh(settings)
    assert peak(settings, stream_id) == 30


def test_wrong_rows_are_not_published_and_the_check_is_named(refreshed: Refreshed) -> None:
    settings = refreshed.settings
    add_stream(refreshed.library, refreshed.lake, [5, -1], title="Broken")
    with pytest.raises(RunFailed, match="counts_are_not_negative") as caught:
        refresh(settings)
    assert "\n" not in str(caught.value)
    assert build_of(settings).id == refreshed.first.build_id
    assert peak(settings, refreshed.stream_id) == 20


def test_a_database_that_is_away_is_named_in_one_line(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:1/y"})
    with pytest.raises(DatabaseUnreachable, match="AETHEX_DATABASE_URL"):
        refresh(away)


def test_a_store_that_is_away_is_named_in_one_line(settings: Settings) -> None:
    away = settings.model_copy(
        update={
            "store_url": "s3://lake",
            "store_endpoint": "http://127.0.0.1:1",
            "store_access_key_id": "x",
            "store_secret_access_key": SecretStr("x"),
        }
    )
    with pytest.raises(Exception, match="AETHEX_STORE") as caught:
        refresh(away)
    assert "\n" not in str(caught.value)


@pytest.mark.r2
def test_a_refresh_works_on_r2(r2_settings: Settings, library: Library) -> None:
    with Lake.open(r2_settings) as lake:
        stream_id = add_stream(library, lake, [10, 20, None, 40])
    refresh(r2_settings)
    assert peak(r2_settings, stream_id) == 40


def test_agdq_2020_has_its_published_peak_and_messages(
    settings: Settings, shared_data: Path
) -> None:
    report = import_viewers(
        settings,
        shared_data / "gdq" / "agdq2020_latest.json",
        channel="gdq",
        stream="AGDQ 2020",
        time_field="time",
        viewers_field="v",
        chat_field="c",
    )
    refresh(settings)
    with Lake.open(settings) as lake, open_build(lake, settings) as con:
        summary = stream_summary(con, report.stream_id)
    assert summary.audience.peak_viewers == 237_523
    assert summary.audience.messages == 863_623
    assert (summary.audience.samples, summary.audience.null_samples) == (10_242, 473)
