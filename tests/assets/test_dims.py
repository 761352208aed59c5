"""Snapshots of the library as assets."""

from __future__ import annotations

from datetime import timedelta

from aethex.lake import Lake
from aethex.lake.dim_tables import DIM_STREAMS, DIM_TABLES
from aethex.library import Library
from aethex.library.streams import set_stream_bounds
from tests.pipelines.runs import Pipeline, materialized, metadata
from tests.pipelines.streams import STARTED_AT, add_stream


def test_every_dim_says_what_changed(pipeline: Pipeline, library: Library, lake: Lake) -> None:
    stream_id = add_stream(library, lake, [1, 2])
    first = pipeline.publish()
    assert {(name, None) for name in DIM_TABLES} < materialized(first)
    said = metadata(first, DIM_STREAMS.name)
    assert (said["added"], said["changed"], said["closed"]) == (1, 0, 0)
    assert (said["stream days"], said["stream first day"]) == (1, "2020-01-05")

    with library.session() as session:
        set_stream_bounds(session, stream_id, STARTED_AT, STARTED_AT + timedelta(hours=1))
    said = metadata(pipeline.publish(), DIM_STREAMS.name)
    assert (said["added"], said["changed"], said["closed"]) == (0, 1, 0)
    assert said["dagster/row_count"] == 2  # both versions


def test_without_a_change_nothing_is_written(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [1, 2])
    first, second = pipeline.publish(), pipeline.publish()
    for name in DIM_TABLES:
        before, after = metadata(first, name), metadata(second, name)
        assert before.get("snapshot id") == after.get("snapshot id"), name
