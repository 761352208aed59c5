"""The models as assets: which days a run computes, and what it says of them."""

from __future__ import annotations

from datetime import UTC, datetime

from aethex.assets.mart_tables import DECLARED_CHECK
from aethex.lake import Lake
from aethex.lake.build_records import current_build
from aethex.lake.models import load_models
from aethex.lake.windows import watermark
from aethex.library import Library
from tests.assets.conftest import Begun
from tests.pipelines.runs import Pipeline, failed_checks, materialized, metadata, passed_checks
from tests.pipelines.streams import add_stream

YEARS_BEFORE = datetime(2017, 7, 2, 12, 0, tzinfo=UTC)


def test_a_refresh_computes_the_due_days_and_none_between(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [1, 2, 3], title="SGDQ", started_at=YEARS_BEFORE)
    add_stream(library, lake, [10, 20, None, 40])
    pipeline.publish()
    result = pipeline.models()
    assert result.success
    made = {(name, day) for name, day in materialized(result) if name == "channel_daily"}
    assert made == {("channel_daily", d) for d in ("2017-07-02", "2020-01-05", "2020-01-06")}
    assert metadata(result, "stream_samples", "2017-07-02")["dagster/partition_row_count"] == 3
    said = metadata(result, "channel_daily", "2020-01-06")
    assert said["days"] == 3
    assert said["dagster/partition_row_count"] == 1
    assert said["dashboards"].startswith("http://")


def test_every_check_is_an_asset_check_and_the_last_full_hour_a_part_of_its_day(
    published: Begun,
) -> None:
    result = published.pipeline.models()
    names = {
        check.name if check.when == "run" else f"{model.name}_{check.name}"
        for model in load_models()
        for check in model.checks
    }
    assert passed_checks(result) == names | {DECLARED_CHECK}

    known_until = watermark(published.lake.store)
    assert known_until is not None
    said = metadata(result, "trending", f"{known_until:%Y-%m-%d}")
    assert said["hours"] == f"{known_until:%H}:00"
    assert said["dagster/partition_row_count"] == 0


def test_wrong_rows_fail_their_check_and_stop_what_follows(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [10, -1])
    pipeline.publish()
    result = pipeline.models()
    assert not result.success
    assert failed_checks(result) == ["counts_are_not_negative"]
    follow = {"stream_samples", "stream_minutes", "stream_analytics", "segment_analytics"}
    assert not {"channel_daily", "marts", *follow} & {name for name, _ in materialized(result)}
    assert current_build(lake.store) is None


def test_a_backfill_computes_every_day_that_was_chosen(computed: Begun) -> None:
    build = current_build(computed.lake.store)
    assert build is not None
    result = computed.pipeline.range_of_models("2020-01-04", "2020-01-06")
    assert result.success
    days = {day for name, day in materialized(result) if name == "stream_minutes"}
    assert days == {"2020-01-04", "2020-01-05", "2020-01-06"}
    said = metadata(result, "stream_minutes", "2020-01-05")
    assert not said["is changed"]
    assert metadata(result, "marts")["build"] == build.id
    assert metadata(result, "trending")["days"] == 0, "nothing was watched then"
