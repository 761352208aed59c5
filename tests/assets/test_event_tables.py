"""Publishing as an asset: what it reports, and the count against landing."""

from __future__ import annotations

import json

import dagster as dg

from aethex.assets.event_tables import CHECK
from aethex.assets.freshness import FRESHNESS_CHECK
from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.windows import watermark
from aethex.library import Library
from tests.pipelines.runs import Pipeline, failed_checks, metadata, passed_checks
from tests.pipelines.streams import add_stream


def test_it_says_what_it_published(pipeline: Pipeline, library: Library, lake: Lake) -> None:
    add_stream(library, lake, [1, 2, 3, 4])
    add_stream(library, lake, [1, 2, 3, 4, 5])
    result = pipeline.publish()
    assert result.success
    said = metadata(result, VIEWER_SNAPSHOTS.name)
    assert (said["rows in"], said["rows"], said["duplicates"]) == (9, 5, 4)
    assert said["windows"] == [1]
    assert (said["first day"], said["last day"]) == ("2020-01-05", "2020-01-06")
    assert said["dagster/row_count"] == 5
    assert said["bytes"] > 0
    assert passed_checks(result) == {CHECK, FRESHNESS_CHECK}


def test_it_observes_landing_and_the_library(
    pipeline: Pipeline, library: Library, lake: Lake, instance: dg.DagsterInstance
) -> None:
    add_stream(library, lake, [1, 2])
    pipeline.publish()
    for key, name, value in (("landing", "rows taken", 2), ("library", "rows of dim_streams", 1)):
        record = instance.fetch_observations(dg.AssetKey(key), limit=1).records[0]
        assert record.asset_observation is not None
        assert record.asset_observation.metadata[name].value == value


def test_nothing_landed_is_no_error(pipeline: Pipeline, lake: Lake) -> None:
    result = pipeline.publish()
    assert result.success
    assert metadata(result, VIEWER_SNAPSHOTS.name)["rows in"] == 0
    assert watermark(lake.store) is not None


def test_rows_that_do_not_add_up_fail_the_check(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [1, 2, 3])
    assert pipeline.publish().success
    marker = next(i.key for i in lake.store.list("lake/windows") if "published" in i.key)
    said = json.loads(lake.store.get(marker))
    said["objects"][0]["rows_out"] = 2
    lake.store.put(marker, json.dumps(said).encode())
    result = pipeline.publish()
    assert not result.success
    assert set(failed_checks(result)) == {CHECK}


def test_rows_lost_from_the_table_fail_the_check(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [1, 2, 3])
    assert pipeline.publish().success
    lake.table(VIEWER_SNAPSHOTS).delete("viewers == 2")
    assert set(failed_checks(pipeline.publish())) == {CHECK}
