"""`POST /api/events` when there is too much, or a part is away; and what metrics tell of it."""

from __future__ import annotations

import pytest

from aethex.library import Library
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store, StoreUnreachable
from tests.service.conftest import Client, serving
from tests.service.sending import (
    Place,
    add_place,
    as_player,
    as_server,
    landed,
    send,
    statuses,
    viewer_cookie,
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"events_flush_ms": 0})


def test_a_viewer_or_an_address_that_sends_too_much_is_429(
    settings: Settings, library: Library, folder_store: Store
) -> None:
    few = settings.model_copy(
        update={"events_per_viewer_minute": 5, "events_per_address_minute": 12}
    )
    place = add_place(library)
    with serving(create_app(few)) as client:
        mine = {"aethex_viewer": viewer_cookie(client) or ""}
        beats = [place.beat(sequence=n) for n in range(5)]
        assert statuses(as_player(client, beats, cookies=mine)) == ["accepted"] * 5
        answer = as_player(client, [place.beat()], cookies=mine)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        assert "This viewer" in answer.json()["detail"]
        other = {"aethex_viewer": viewer_cookie(client) or ""}
        assert statuses(as_player(client, [place.beat()], cookies=other)) == ["accepted"]
        answer = as_player(client, [place.beat(sequence=n) for n in range(7)])
        assert answer.status_code == 429
        assert "This address" in answer.json()["detail"]
        many = [place.chat() for _ in range(50)]
        assert statuses(as_server(client, place.token, many)) == ["accepted"] * 50
    assert len(landed(folder_store)) == 56


def test_a_full_buffer_is_429_and_takes_again_when_there_is_room(
    settings: Settings, library: Library, folder_store: Store
) -> None:
    small = settings.model_copy(update={"events_buffer_rows": 10})
    place = add_place(library)
    with serving(create_app(small)) as client:
        answer = as_server(client, place.token, [place.chat() for _ in range(11)])
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert landed(folder_store) == []
        for _ in range(3):
            ten = [place.chat() for _ in range(10)]
            assert statuses(as_server(client, place.token, ten)) == ["accepted"] * 10


def test_while_the_store_is_away_nothing_is_acknowledged(
    settings: Settings, library: Library, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = add_place(library)
    monkeypatch.setattr("aethex.service.ingest.buffer.ATTEMPT_PAUSE_SECONDS", 0.0)
    with serving(create_app(settings)) as client:
        with monkeypatch.context() as away:

            def fail(*_: object, **__: object) -> None:
                raise StoreUnreachable("The store does not answer.")

            away.setattr(Store, "put", fail)
            answer = as_server(client, place.token, [place.chat()])
            assert (answer.status_code, answer.json()["part"]) == (503, "store")
            assert "retry-after" in answer.headers
        assert landed(folder_store) == []
        assert statuses(as_server(client, place.token, [place.chat()])) == ["accepted"]


def test_known_content_is_taken_while_the_database_is_away(
    client: Client, place: Place, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aethex.postgres import DatabaseUnreachable

    assert statuses(as_server(client, place.token, [place.chat()])) == ["accepted"]
    unknown = add_place(library, "other")

    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnreachable("Postgres does not answer.")

    monkeypatch.setattr(Library, "session", fail)
    assert statuses(as_server(client, place.token, [place.chat()])) == ["accepted"]
    answer = as_player(client, [unknown.beat()])
    assert (answer.status_code, answer.json()["part"]) == (503, "database")


def test_what_waits_when_the_service_stops_is_written(
    settings: Settings, library: Library, folder_store: Store
) -> None:
    slow = settings.model_copy(update={"events_flush_ms": 10_000})
    place = add_place(library)
    app = create_app(slow)
    with serving(app) as client:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(as_server, client, place.token, [place.chat()])
            buffer = app.state.resources.ingest._buffer
            while not buffer.rows:
                pass
            client._portal.call(buffer._is_ripe.set)
            assert statuses(waiting.result()) == ["accepted"]
    assert len(landed(folder_store)) == 1


def test_metrics_tell_of_it(client: Client, place: Place) -> None:
    as_server(client, place.token, [place.chat(), place.beat(), {"kind": "chat"}, {"x": 1}])
    send(client, b"[", headers={"Authorization": f"Bearer {place.token}"})
    text = client.get("/metrics").text
    for line in (
        'aethex_events_accepted_total{kind="chat"} 1.0',
        'aethex_events_accepted_total{kind="playback"} 1.0',
        'aethex_events_rejected_total{field="event_id"} 1.0',
        'aethex_event_requests_refused_total{status="422"} 1.0',
        'aethex_flush_seconds_count{result="written"} 1.0',
        "aethex_events_buffered 0.0",
    ):
        assert line in text, text
