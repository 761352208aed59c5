"""The lake's maintenance, as its job runs it."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from aethex.assets.maintenance import LANDING_CHECK, MAINTENANCE, ROWS_CHECK
from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.maintenance import all_tables
from aethex.library import Library
from aethex.settings import Settings
from tests.pipelines.runs import Pipeline, failed_checks, metadata, passed_checks
from tests.pipelines.streams import add_stream

NOON = datetime(2020, 1, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def hasty(settings: Settings, instance: dg.DagsterInstance) -> Pipeline:
    """The jobs where landing is cleaned up as soon as it is published."""
    return Pipeline(settings.model_copy(update={"landing_keep_days": 0.0}), instance)


def publish_twice(pipeline: Pipeline, library: Library, lake: Lake) -> None:
    """Two windows of rows of the same days: two files where one is enough."""
    for counts in ([1, 2], [1, 2, 3]):
        add_stream(library, lake, counts, started_at=NOON)
        assert pipeline.publish().success


def test_it_says_what_it_did(hasty: Pipeline, library: Library, lake: Lake) -> None:
    publish_twice(hasty, library, lake)
    rows = lake.table(VIEWER_SNAPSHOTS).scan().count()
    result = hasty.maintain()
    assert result.success
    assert passed_checks(result) == {ROWS_CHECK, LANDING_CHECK}
    said = metadata(result, MAINTENANCE)
    assert (said["windows cleaned"], said["landing objects deleted"]) == (2, 2)
    assert said["is done"] is True
    assert said["files before"] - said["files after"] == said["groups compacted"] == 1
    tables = {record.data["table"]: record.data for record in said["tables"].records}
    assert set(tables) == set(all_tables())
    assert tables[VIEWER_SNAPSHOTS.name]["files after"] == 1
    assert list(lake.store.list("landing")) == []
    assert lake.table(VIEWER_SNAPSHOTS).scan().count() == rows


def test_the_instance_knows_that_it_ran(hasty: Pipeline, library: Library, lake: Lake) -> None:
    publish_twice(hasty, library, lake)
    hasty.maintain()
    event = hasty.instance.get_latest_materialization_event(dg.AssetKey(MAINTENANCE))
    assert event is not None


def test_what_landed_and_is_not_proven_stays_and_turns_the_check_red(
    hasty: Pipeline, library: Library, lake: Lake
) -> None:
    publish_twice(hasty, library, lake)
    lake.table(VIEWER_SNAPSHOTS).delete("viewers == 3")
    landed = [info.key for info in lake.store.list("landing")]
    result = hasty.maintain()
    assert result.success  # the rest of the maintenance is done, and later runs are not held up
    assert failed_checks(result) == [LANDING_CHECK]
    (check,) = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert "window 2 does not add up" in str(check.metadata["why it stopped"].value)
    assert [info.key for info in lake.store.list("landing")] == landed[1:]
