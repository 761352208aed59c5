"""The graph as a text file: whoever changes an asset sees, and shows, what the change does to it.

After a wanted change: `AETHEX_UPDATE_GRAPH=1 pytest tests/assets/test_graph.py`, and commit it.
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetNode

from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import load_models
from aethex.pipelines.definitions import build_defs
from aethex.pipelines.jobs import JOBS
from aethex.pipelines.schedules import SCHEDULES
from aethex.pipelines.sensors import SENSORS

SNAPSHOT = Path(__file__).with_name("graph.txt")
GROUPS = {"landing", "events", "dims", "models", "marts", "maintenance", "vods"}
UPDATE = os.environ.get("AETHEX_UPDATE_GRAPH") == "1"  # read before the tests' own environment


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def test_whoever_runs_a_command_reads_no_warnings_of_dagster_s() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", dg.BetaWarning)
        build_defs().resolve_job_def(JOBS[0].name)
    assert [str(one.message) for one in told if one.category is dg.BetaWarning] == []


def describe(defs: dg.Definitions) -> str:
    """All assets with what a reviewer must know of them, then jobs, schedules and sensors."""
    graph = defs.resolve_asset_graph()
    keys = sorted(graph.get_all_asset_keys(), key=lambda key: key.to_user_string())
    return "\n\n".join(
        ["\n".join(describe_asset(graph.get(key))) for key in keys]
        + ["\n".join(describe_automation(defs))]
    )


def describe_asset(node: AssetNode) -> Iterator[str]:
    checks = sorted(f"{key.name}" for key in node.check_keys)
    partitions = node.partitions_def
    yield node.key.to_user_string()
    yield f"  group       {node.group_name}"
    yield f"  deps        {', '.join(sorted(k.to_user_string() for k in node.parent_keys)) or '-'}"
    yield f"  partitions  {f'from {partitions.get_first_partition_key()}' if partitions else '-'}"
    yield f"  backfill    {node.backfill_policy.policy_type.value if node.backfill_policy else '-'}"
    yield f"  automation  {node.automation_condition or '-'}"
    yield f"  kinds       {', '.join(sorted(node.kinds)) or '-'}"
    yield f"  owners      {', '.join(node.owners) or '-'}"
    yield from (f"  check       {check}" for check in checks)


def describe_automation(defs: dg.Definitions) -> Iterator[str]:
    for job in JOBS:
        resolved = defs.resolve_job_def(job.name)
        assets = sorted(key.to_user_string() for key in resolved.asset_layer.selected_asset_keys)
        yield f"job {job.name}: {', '.join(assets) or '-'}"
    for schedule in SCHEDULES:
        status = schedule.default_status.value
        yield f"schedule {schedule.name}: {schedule.cron_schedule}, {schedule.job_name}, {status}"
    for sensor in SENSORS:
        targets = ", ".join(target.job_name for target in sensor.targets) or "-"
        yield f"sensor {sensor.name}: {targets}, {sensor.default_status.value}"


def test_the_graph_is_the_one_that_was_reviewed(defs: dg.Definitions) -> None:
    found = describe(defs) + "\n"
    if UPDATE:
        SNAPSHOT.write_text(found)
    assert found.splitlines() == SNAPSHOT.read_text().splitlines()


def test_every_table_of_the_lake_has_an_asset_of_its_name(defs: dg.Definitions) -> None:
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    tables = {table.name for table in EVENT_TABLES.values()} | set(DIM_TABLES)
    assert tables | set(load_models().tables) <= keys


def test_every_asset_says_its_grain_and_who_answers_for_it(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert "Grain:" in (node.description or ""), key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name in GROUPS, key


def test_every_column_is_described_with_its_unit(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    schema = graph.get(dg.AssetKey("stream_samples")).metadata["dagster/column_schema"]
    by_name = {column.name: column for column in schema.columns}
    assert by_name["viewers"].description.endswith("[viewers]")
    assert by_name["viewers"].constraints.nullable
    assert not by_name["stream_id"].constraints.nullable


def test_asset_bodies_stay_short(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for assets in {id(d): d for d in graph.assets_defs if d.is_executable}.values():
        tree = ast.parse(textwrap.dedent(inspect.getsource(assets.op.compute_fn.decorated_fn)))
        function = tree.body[0]
        assert isinstance(function, ast.FunctionDef)
        first, last = function.body[0], function.body[-1]
        assert (last.end_lineno or 0) - first.lineno < 30, function.name


def test_definitions_can_be_loaded_and_made_anew(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    dg.Definitions.validate_loadable(build_defs({"settings": object()}))
