"""Health, and what the service does while a part that it needs is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from aethex.library import Library
from aethex.service import health
from aethex.service.app import create_app
from aethex.service.marts import Marts
from aethex.settings import Settings
from aethex.store import Store, StoreUnreachable
from tests.service.conftest import Client, serving
from tests.service.content import add_vod


@pytest.fixture
def without_database(settings: Settings) -> Iterator[Client]:
    """The service with a database that nobody answers for."""
    nobody = settings.model_copy(
        update={"database_url": "postgresql://aethex:pa55word@127.0.0.1:1/aethex"}
    )
    with serving(create_app(nobody)) as client:
        yield client


def test_it_is_ready_when_all_parts_answer(client: Client) -> None:
    body = client.get("/readyz").json()
    assert {part: body[part]["status"] for part in ("database", "store", "build")} == {
        "database": "ok",
        "store": "ok",
        "build": "ok",
    }
    assert "aethex pipeline refresh" in body["build"]["detail"]


def test_it_is_up_but_not_ready_without_a_database_and_names_it(without_database: Client) -> None:
    assert without_database.get("/healthz").json() == {"status": "ok"}
    answer = without_database.get("/readyz")
    assert (answer.status_code, answer.json()["part"]) == (503, "database")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "retry-after" in answer.headers
    assert "pa55word" not in answer.text


@pytest.mark.parametrize("path", ["/api/channels", "/api/vods/vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"])
def test_without_a_database_the_api_says_which_part_is_away(
    without_database: Client, path: str
) -> None:
    answer = without_database.get(path)
    assert (answer.status_code, answer.json()["part"]) == (503, "database")
    assert "AETHEX_DATABASE_URL" in answer.json()["detail"]
    assert "pa55word" not in answer.text


def test_without_a_database_pages_are_designed_too(without_database: Client) -> None:
    answer = without_database.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "Try again" in answer.text
    assert "pa55word" not in answer.text


def test_a_store_that_is_away_is_named(
    client: Client, library: Library, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add_vod(library, folder_store)
    path = (
        client.get(f"/api/vods/{made.id}").json()["mp4_url"].removeprefix("http://localhost:8000")
    )

    async def away(*_: object, **__: object) -> None:
        raise StoreUnreachable("The store does not answer: check AETHEX_STORE_URL.")

    def away_too(*_: object) -> None:
        raise StoreUnreachable("The store does not answer: check AETHEX_STORE_URL.")

    monkeypatch.setattr(Store, "ahead", away)
    monkeypatch.setattr(Store, "check", away_too)
    for address in (path, "/readyz"):
        answer = client.get(address)
        assert (answer.status_code, answer.json()["part"]) == (503, "store")
        assert "AETHEX_STORE_URL" in answer.json()["detail"]


def test_a_store_that_fails_before_the_first_byte_is_an_error_and_no_torn_answer(
    client: Client, library: Library, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add_vod(library, folder_store)
    path = (
        client.get(f"/api/vods/{made.id}").json()["mp4_url"].removeprefix("http://localhost:8000")
    )

    async def torn(*_: object, **__: object):
        raise StoreUnreachable("away")
        yield b""

    monkeypatch.setattr(Store, "astream", torn)
    assert client.get(path).status_code == 503


def test_a_part_that_hangs_is_named_in_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.8)  # the database is good, and answers within it
    monkeypatch.setattr(Store, "check", lambda _: let_go.wait(60))
    answer = client.get("/readyz")
    let_go.set()
    assert (answer.status_code, answer.json()["part"]) == (503, "store")
    assert "0.8 seconds" in answer.json()["detail"]


def test_a_database_that_is_too_busy_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: Library) -> None:
        raise PoolTimeout

    monkeypatch.setattr(Library, "session", busy)
    answer = client.get("/api/channels")
    assert (answer.status_code, answer.json()["part"]) == (503, "database")


def test_a_build_that_cannot_be_read_is_named(client: Client, folder_store: Store) -> None:
    folder_store.put("marts/current.json", b"no json")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["part"]) == (503, "build")


def test_an_unexpected_error_is_a_problem_with_a_reference_that_the_log_has(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Marts) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Marts, "current", broken)
    with caplog.at_level(logging.ERROR, logger="aethex.service.problems"):
        answer = client.get("/api/analytics/streams/st_x")
    body = answer.json()
    assert (answer.status_code, body["type"]) == (500, "urn:aethex:problem:internal")
    assert "secret detail" not in answer.text
    assert body["reference"] in body["detail"]
    assert body["reference"] in caplog.text
    assert "secret detail" in caplog.text
