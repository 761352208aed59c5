"""Every case under this folder: a model's query on given rows gives the expected rows, twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aethex.lake.models import load_models
from tests.model_runs import TABLES, Row, fill_inputs, run

CASES = sorted(Path(__file__).parent.glob("*/*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_model_gives_the_expected_rows_each_time_it_runs(path: Path) -> None:
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(case) == {"about", "inputs", "params", "expect"}
    model = load_models()[path.parent.name]
    assert set(case["inputs"]) <= set(model.reads)
    assert set(case["params"]) == {model.parameter}
    day = case["params"][model.parameter]

    with fill_inputs(case["inputs"]) as con:
        first = run(con, model, day)
        second = run(con, model, day)

    expected: list[Row] = case["expect"]
    for row in expected:
        assert set(row) <= set(TABLES[model.name].column_names)
        assert set(row) >= set(model.key)
    shown = [
        {name: actual[name] for name in row} for actual, row in zip(first, expected, strict=False)
    ]
    assert shown == expected
    assert len(first) == len(expected)
    assert second == first


def test_every_model_has_a_case() -> None:
    assert {path.parent.name for path in CASES} == {model.name for model in load_models()}
