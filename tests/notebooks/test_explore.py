"""The notebook runs without a browser: on numbers, and on none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aethex.lake import Lake
from aethex.settings import PROJECT_DIR, Settings
from tests.lake.marts import MINUTE, NOON, World, landed_counts

NOTEBOOK = PROJECT_DIR / "notebooks" / "explore.py"


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook reads its settings as every process does."""
    monkeypatch.setenv("AETHEX_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("AETHEX_DATABASE_URL", str(settings.database_url))


def run() -> Mapping[str, Any]:
    """What the notebook's cells define."""
    spec = importlib.util.spec_from_file_location("explore", NOTEBOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _, definitions = module.app.run()
    return definitions


def test_on_an_empty_lake_it_says_how_to_begin() -> None:
    defined = run()
    assert defined["streams"].is_empty()
    assert "No stream has numbers yet" in defined["empty"].text


def test_it_answers_three_questions(lake: Lake, tmp_path: Path) -> None:
    from aethex.lake.landing import land
    from aethex.lake.publish import publish

    world = World(lake)
    world.stream("st_1", NOON, NOON + 60 * MINUTE, title="Show")
    world.segment("st_1", 0, NOON, NOON + 20 * MINUTE)  # grows from 100 to 290
    world.segment("st_1", 1, NOON + 20 * MINUTE, NOON + 40 * MINUTE)  # falls from 300 to 110
    counts = [
        (NOON + n * MINUTE, 100 + 10 * n if n < 20 else 500 - 10 * n, 400 if n in (29, 30) else 10)
        for n in range(40)
    ]
    land(lake, landed_counts("st_1", counts))
    publish(lake)
    world.refresh()

    defined = run()
    held = defined["held"].to_dicts()
    assert [row["title"] for row in held] == ["Part 0", "Part 1"]
    assert held[0]["held_ratio"] == pytest.approx(275 / 115)
    bursts = defined["bursts"].to_dicts()
    assert [(b["peak_at"], b["minutes"], b["segment"]) for b in bursts] == [
        (NOON + 30 * MINUTE, 2, "Part 1")
    ]
    (complete,) = defined["completeness"].to_dicts()
    assert complete["coverage_ratio"] == pytest.approx((39 * 60 + 150) / 3600)
    (gap,) = defined["gaps"].to_dicts()
    assert gap["begins_at"] == NOON + 39 * MINUTE + timedelta(seconds=150)

    page = tmp_path / "explore.html"
    command = [sys.executable, "-m", "marimo", "export", "html", str(NOTEBOOK), "-o", str(page)]
    subprocess.run(command, check=True, cwd=PROJECT_DIR, capture_output=True, timeout=120)
    assert "held best" in page.read_text(encoding="utf-8")
