"""`GET /metrics`: what the library has, and what became of webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, text

from aethex.library import Library, captures, channels, inputs, jobs, leases, live, vods
from aethex.library.captures import Picture
from aethex.library.gauges import gauges
from aethex.service.app import create_app
from aethex.service.library_gauges import LibraryGauges
from aethex.service.metrics import Metrics
from aethex.settings import Settings
from aethex.store import Store
from tests.library.test_captures import a_run, a_segment
from tests.service.conftest import Client, serving
from tests.service.content import add_vod

NOW = datetime(2026, 1, 30, 19, 0, tzinfo=UTC)


def values(text: str, name: str) -> dict[str, float]:
    """A metric's values by its labels as they are written; `""` without any."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def rendered(metrics: Metrics, name: str) -> dict[str, float]:
    return values(metrics.render().decode(), name)


def measured(library: Library) -> Metrics:
    metrics = Metrics()
    metrics.library.measure(library)
    return metrics


@pytest.fixture
def statements(library: Library) -> Iterator[list[str]]:
    """What the test's library is asked."""
    asked: list[str] = []

    def note(_c: object, _d: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(library.engine, "before_cursor_execute", note)
    yield asked
    event.remove(library.engine, "before_cursor_execute", note)


def test_an_empty_library_has_nothing_and_says_so(library: Library) -> None:
    metrics = measured(library)
    assert rendered(metrics, "aethex_library_up") == {"": 1}
    for name in ("live_streams", "recordings_open", "webhooks_waiting"):
        assert rendered(metrics, f"aethex_{name}") == {"": 0}
    assert rendered(metrics, "aethex_vods") == {'status="deleted"': 0}
    assert rendered(metrics, "aethex_jobs") == {}


def test_jobs_are_counted_by_kind_and_state_and_the_longest_wait_is_told(library: Library) -> None:
    with library.session() as s:
        for n in range(3):
            jobs.enqueue(s, "archive", f"rec_{n}")
        jobs.enqueue(s, "derive", "vod_1", delay_seconds=3600)
        s.execute(
            text("update jobs set run_after = now() - interval '1 h' where subject_id = 'rec_2'")
        )
    with library.session() as s:
        claim = leases.claim(s, "wrk_1", ["archive"], 60)
        assert claim is not None
        s.execute(text("update jobs set run_after = run_after - interval '60 s'"))
    metrics = measured(library)
    assert rendered(metrics, "aethex_jobs") == {
        'kind="archive",state="queued"': 2,
        'kind="archive",state="running"': 1,
        'kind="derive",state="queued"': 1,
    }
    (waits,) = rendered(metrics, "aethex_jobs_oldest_queued_seconds").items()
    assert waits[0] == 'kind="archive"'  # the other one is not due
    assert 60 <= waits[1] < 600


def test_streams_recordings_and_vods_are_counted(library: Library, folder_store: Store) -> None:
    shown = add_vod(library, folder_store, username="gdq")
    gone = add_vod(library, folder_store, username="gdq")
    with library.session() as s:
        vods.mark_deleted(s, gone.id, NOW)
        channel = channels.ensure_channel(s, "gdq")
        of = inputs.add_input(s, channel.id, "rtmp")
        stream = live.signal(s, of.id, "connected", NOW, "first", NOW)
        assert stream is not None
        run = a_run()
        captures.add_segment(s, stream.id, run, a_segment(run, 0), Picture(640, 360, 30, True))
    metrics = measured(library)
    assert shown.id != gone.id
    assert rendered(metrics, "aethex_live_streams") == {"": 1}
    assert rendered(metrics, "aethex_recordings_open") == {"": 1}
    assert rendered(metrics, "aethex_vods") == {
        'status="deleted"': 1,
        'status="processing"': 1,
        'status="ready"': 1,
    }


def test_the_library_is_asked_once_in_a_while(library: Library, statements: list[str]) -> None:
    now = 100.0
    collector = LibraryGauges(clock=lambda: now)
    for _ in range(3):
        collector.measure(library)
    assert len([one for one in statements if "select" in one]) == 1
    now += 5
    collector.measure(library)
    assert len([one for one in statements if "select" in one]) == 2


def test_its_query_needs_no_table(library: Library, statements: list[str]) -> None:
    """With enough rows the planner takes the indexes; here it is told to where it can."""
    with library.session() as s:
        gauges(s)
    (query,) = [one for one in statements if "select" in one]
    with library.session() as s:
        s.execute(text("set local enable_seqscan = off"))
        plan = "\n".join(s.scalars(text(f"explain {query}")))
    assert "Seq Scan" not in plan
    assert plan.count("Index") >= 7


def test_while_the_database_is_away_the_rest_of_the_page_is_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert values(client.get("/metrics").text, "aethex_library_up") == {"": 1}

    def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr("aethex.service.library_gauges.KEPT_SECONDS", 0)
    monkeypatch.setattr(Engine, "connect", away)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert values(answer.text, "aethex_library_up") == {"": 0}
    assert values(answer.text, "aethex_live_streams") == {}
    assert "# TYPE aethex_live_streams gauge" in answer.text
    assert values(answer.text, "aethex_events_buffered") == {"": 0}
    monkeypatch.undo()
    monkeypatch.setattr("aethex.service.library_gauges.KEPT_SECONDS", 0)
    assert values(client.get("/metrics").text, "aethex_live_streams") == {"": 0}


def test_webhooks_are_counted_by_what_became_of_them(settings: Settings, library: Library) -> None:
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        inputs.add_input(s, channel.id, "srs", "live/gdq", key="the right one")
        inputs.add_input(s, channel.id, "mediamtx", "gdq", key="the right one")
    tokens = {f"{name}_webhook_token": SecretStr("token") for name in ("srs", "mediamtx")}
    with serving(create_app(settings.model_copy(update=tokens))) as client:

        def told(action: str, stream: str, key: str = "", token: str = "token") -> int:
            body = {"action": action, "app": "live", "stream": stream, "param": f"?key={key}"}
            body |= {"client_id": f"{action} {stream} {key}"}
            return client.request("POST", f"/webhooks/srs?token={token}", json=body).status_code

        assert told("on_publish", "gdq", "the right one") == 200
        assert told("on_publish", "gdq", "another") == 403
        assert told("on_publish", "nobody") == 200
        assert told("on_connect", "gdq") == 200
        assert told("on_publish", "gdq", token="another") == 401
        ask = {"action": "publish", "path": "gdq", "password": "another"}
        path = "/webhooks/mediamtx/auth?token=token"
        assert client.request("POST", path, json=ask).status_code == 401
        assert client.request("POST", path, json=ask | {"action": "read"}).status_code == 200
        text = client.get("/metrics").text
    assert values(text, "aethex_webhooks_total") == {
        'outcome="applied",provider="srs"': 1,
        'outcome="ignored",provider="srs"': 1,
        'outcome="refused",provider="mediamtx"': 1,
        'outcome="refused",provider="srs"': 2,
        'outcome="waiting",provider="srs"': 1,
    }
    assert values(text, "aethex_webhooks_waiting") == {"": 1}


def test_a_lock_on_a_table_does_not_hold_up_the_page(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    with library.session() as holding:
        holding.execute(text("lock table captures in access exclusive mode"))
        metrics = measured(library)
    assert rendered(metrics, "aethex_library_up") == {"": 0}
    assert "due to statement timeout" in caplog.text  # and not because of the longer one of locks
