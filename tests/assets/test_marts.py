"""Publishing a build as an asset."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from aethex.assets.mart_tables import ONLY_DUE_TAG
from aethex.assets.marts import MARTS
from aethex.lake import Lake
from aethex.lake.build_records import current_build
from tests.assets.conftest import Begun
from tests.pipelines.runs import Pipeline, materialized, metadata
from tests.pipelines.streams import add_stream

LATER = datetime(2020, 2, 1, 12, 0, tzinfo=UTC)


def test_it_says_what_readers_get(published: Begun) -> None:
    lake = published.lake
    said = metadata(published.pipeline.models(), MARTS)
    build = current_build(lake.store)
    assert build is not None
    assert (said["build"], said["window"], said["is new"]) == (build.id, 1, True)
    rows = {record.data["table"]: record.data["rows"] for record in said["tables"].records}
    assert rows["stream_samples"] == 3
    assert said["new bytes for readers"] == said["bytes"] > 0
    assert said["dagster/uri"] == lake.store.uri("marts/current.json")


def test_with_nothing_due_only_the_build_is_looked_at(computed: Begun) -> None:
    pipeline, lake = computed.pipeline, computed.lake
    before = current_build(lake.store)
    pipeline.publish()
    result = pipeline.models()
    after = current_build(lake.store)
    assert materialized(result) == {(MARTS, None)}
    assert before is not None
    assert after is not None
    assert (before.id, before.tables) == (after.id, after.tables)
    assert before.fresh_until is not None
    assert after.fresh_until is not None
    assert before.fresh_until < after.fresh_until


def test_a_backfill_does_not_publish_while_other_days_are_due(computed: Begun) -> None:
    pipeline, lake = computed.pipeline, computed.lake
    before = current_build(lake.store)
    add_stream(computed.library, lake, [1, 2], title="Later", started_at=LATER)
    pipeline.publish()
    result = pipeline.range_of_models("2020-01-05", "2020-01-06")
    assert result.get_failed_step_keys() == {MARTS}
    assert current_build(lake.store) == before
    pipeline.models()  # a refresh computes what is left, and publishes
    after = current_build(lake.store)
    assert after is not None
    assert after.window == 2


def test_by_itself_it_publishes_nothing_that_is_not_computed(published: Begun) -> None:
    pipeline = published.pipeline
    alone = pipeline.models(asset_selection=[dg.AssetKey(MARTS)])
    without_some = pipeline.models(
        asset_selection=[dg.AssetKey("stream_samples"), dg.AssetKey(MARTS)],
        partition_key="2020-01-06",
        tags=ONLY_DUE_TAG,
    )
    assert not alone.success
    assert not without_some.success
    assert current_build(published.lake.store) is None


def test_a_build_before_anything_landed_is_empty_and_valid(pipeline: Pipeline, lake: Lake) -> None:
    pipeline.publish()
    assert pipeline.models().success
    build = current_build(lake.store)
    assert build is not None
    assert (build.window, build.rows) == (0, 0)
