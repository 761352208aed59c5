"""`GET /metrics`: what is measured is said, what is not is left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aethex.lake import Lake
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.library import Library
from aethex.service.app import create_app
from aethex.service.metrics import Metrics, _forget_dead_workers
from aethex.settings import PROJECT_DIR, Settings
from aethex.store import Store, StoreUnreachable
from tests.lake.events import snapshots
from tests.service.conftest import Client, serving
from tests.service.sending import add_place, as_server, statuses

HOUR = timedelta(hours=1)


def value_of(text: str, name: str) -> float | None:
    """The value of a metric without labels; None where it has none."""
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def lag_at(metrics: Metrics, store: Store, at: datetime) -> float | None:
    metrics.measure_lag(store, at)
    return value_of(metrics.render().decode(), "aethex_watermark_lag_seconds")


# --- the watermark --------------------------------------------------------------------------------


def test_before_the_first_publish_the_watermark_has_no_age(lake: Lake) -> None:
    land(lake, snapshots(range(3)))
    metrics = Metrics()
    assert lag_at(metrics, lake.store, datetime.now(UTC)) is None
    assert "# HELP aethex_watermark_lag_seconds" in metrics.render().decode()


def test_a_publish_makes_the_watermark_young_and_then_it_ages(lake: Lake) -> None:
    land(lake, snapshots(range(3)))
    publish(lake)
    now = datetime.now(UTC)
    metrics = Metrics()
    young = lag_at(metrics, lake.store, now)
    assert young is not None
    assert 0 <= young < 30
    assert lag_at(metrics, lake.store, now + HOUR) == pytest.approx(young + 3600)
    land(lake, snapshots(range(3, 6)))
    assert lag_at(metrics, lake.store, now + HOUR) == pytest.approx(young + 3600)
    publish(lake)
    again = lag_at(metrics, lake.store, datetime.now(UTC))
    assert again is not None
    assert 0 <= again < 30


def test_a_publish_that_finds_nothing_new_makes_it_young_too(lake: Lake) -> None:
    publish(lake)
    age = lag_at(Metrics(), lake.store, datetime.now(UTC))
    assert age is not None
    assert 0 <= age < 30


def test_while_the_store_is_away_the_watermark_that_was_seen_last_ages(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake)
    now = datetime.now(UTC)
    metrics = Metrics()
    young = lag_at(metrics, lake.store, now)
    assert young is not None
    monkeypatch.setattr(Store, "get", away)
    monkeypatch.setattr(Store, "exists", away)
    with pytest.raises(StoreUnreachable):
        metrics.measure_lag(lake.store, now + HOUR)
    text = metrics.render().decode()
    assert value_of(text, "aethex_watermark_lag_seconds") == pytest.approx(young + 3600)


def away(*_: object, **__: object) -> None:
    raise StoreUnreachable("The store does not answer.")


def test_the_route_measures_it_anew_each_time(client: Client, lake: Lake) -> None:
    name = "aethex_watermark_lag_seconds"
    assert value_of(client.get("/metrics").text, name) is None
    publish(lake)
    first = value_of(client.get("/metrics").text, name)
    second = value_of(client.get("/metrics").text, name)
    assert first is not None
    assert second is not None
    assert 0 <= first < second < 30


def test_the_route_answers_while_the_store_is_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "get", away)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")


# --- what waits -----------------------------------------------------------------------------------


def test_events_that_wait_for_the_store_are_told_while_they_wait(
    settings: Settings, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = add_place(library)
    putting, may_put = threading.Event(), threading.Event()
    put = Store.put

    def slowly(*args, **options):
        putting.set()
        may_put.wait(10)
        return put(*args, **options)

    monkeypatch.setattr(Store, "put", slowly)
    at_once = settings.model_copy(update={"events_flush_ms": 0})
    with serving(create_app(at_once)) as client, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(as_server, client, place.token, [place.chat() for _ in range(3)])
        try:
            assert putting.wait(30)
            assert value_of(client.get("/metrics").text, "aethex_events_buffered") == 3
        finally:
            may_put.set()
        assert statuses(sending.result()) == ["accepted"] * 3
        assert value_of(client.get("/metrics").text, "aethex_events_buffered") == 0


def test_events_that_found_no_room_do_not_wait(settings: Settings, library: Library) -> None:
    place = add_place(library)
    small = settings.model_copy(update={"events_buffer_rows": 2, "events_flush_ms": 0})
    with serving(create_app(small)) as client:
        answer = as_server(client, place.token, [place.chat() for _ in range(3)])
        assert answer.status_code == 429
        text = client.get("/metrics").text
    assert value_of(text, "aethex_events_buffered") == 0
    assert 'aethex_event_requests_refused_total{status="429"} 1.0' in text


# --- several workers ------------------------------------------------------------------------------


def test_only_what_belongs_to_the_living_is_forgotten_with_a_dead_worker(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [
        f"{kind}_{pid}.db"
        for kind in ("gauge_livesum", "gauge_mostrecent", "counter", "histogram")
        for pid in (gone.pid, os.getpid())
    ]
    for name in names:
        (tmp_path / name).touch()
    _forget_dead_workers(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(names) - {names[0]}


def test_every_metric_is_in_the_documentation() -> None:
    names = re.findall(r"^# TYPE (\S+)", Metrics().render().decode(), re.MULTILINE)
    ours = {name for name in names if not name.endswith("_created")}
    assert len(ours) >= 10
    text = (PROJECT_DIR / "docs" / "operations.md").read_text()
    assert {name for name in ours if f"`{name}`" not in text} == set()
