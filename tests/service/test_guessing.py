"""What a wrong key or token costs: one look-up in an index at most, and nothing that grows.

So nothing is throttled but passwords (docs/accounts.md, docs/recording.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import event, text

from aethex.library import Library, channels, inputs
from aethex.library.holds import Holds
from aethex.library.inputs import key_digest, new_stream_key
from aethex.library.tokens import create
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.workers.recorder.desk import Desk
from tests.service.conftest import Client, serving

GUESS = "guess-0123456789-0123456789-0123"


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    names = ("srs", "mediamtx")
    tokens = {f"{name}_webhook_token": SecretStr("the server's token") for name in names}
    return create_app(settings.model_copy(update=tokens))


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    with serving(app) as client:
        yield client


@contextmanager
def asked(library: Library, is_meant: Callable[[str], bool]) -> Iterator[list[str]]:
    """Statements whose text or parameters are meant, as the service also works by itself."""
    found: list[str] = []

    def note(_c: object, _d: object, statement: str, parameters: object, *_: object) -> None:
        if is_meant(f"{statement} {parameters}"):
            found.append(statement)

    event.listen(library.engine, "before_cursor_execute", note)
    yield found
    event.remove(library.engine, "before_cursor_execute", note)


def test_a_wrong_stream_key_at_the_recorder_is_one_look_up_in_an_index(
    library: Library, settings: Settings
) -> None:
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        inputs.add_input(s, channel.id, "rtmp", key=new_stream_key())
    holds = Holds(settings)
    desk = Desk(settings, library, holds, lambda: datetime.now(UTC))
    with asked(library, lambda _: True) as found:
        assert desk.admit_key("rtmp", GUESS) is None
    holds.close()
    (query,) = found
    with library.session() as s:
        s.execute(text("set local enable_seqscan = off"))
        values = {"provider_1": "rtmp", "key_digest_1": key_digest(GUESS)}
        connection = s.connection()
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"explain {query}", values))
    assert "ix_channel_inputs_key" in plan


def test_a_wrong_server_token_is_one_look_up_and_none_at_once_again(
    app: FastAPI, client: Client, library: Library
) -> None:
    with library.session() as s:
        _, right = create(s, "relay", None)
    wrong = right[:-8] + "AAAAAAAA"

    def send(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return client.request("POST", "/api/events", json=[], headers=headers).status_code

    with asked(app.state.resources.library, lambda said: "FROM server_tokens" in said) as found:
        assert [send(wrong) for _ in range(3)] == [401] * 3
        assert len(found) == 1
        assert [send(GUESS), send(f"{wrong}x")] == [401] * 2
        assert len(found) == 1


def test_a_webhook_that_is_not_the_servers_costs_no_look_up(app: FastAPI, client: Client) -> None:
    body = {"action": "publish", "path": "guessed", "app": "live", "stream": "guessed"}
    with asked(app.state.resources.library, lambda said: "guessed" in said) as found:
        for path in ("/webhooks/mediamtx/auth", "/webhooks/mediamtx", "/webhooks/srs"):
            answer = client.request("POST", f"{path}?token={GUESS}", json=body)
            assert answer.status_code == 401
    assert found == []


def test_a_wrong_key_at_mediamtx_is_one_look_up(
    app: FastAPI, client: Client, library: Library
) -> None:
    add_input(library, "mediamtx", "guessed")
    body = {"action": "publish", "path": "guessed", "password": GUESS, "query": f"key={GUESS}"}
    with asked(app.state.resources.library, lambda said: "guessed" in said) as found:
        answer = client.request(
            "POST", "/webhooks/mediamtx/auth?token=the server's token", json=body
        )
    assert answer.status_code == 401
    assert len(found) == 1


def test_whoever_guesses_at_a_media_server_fills_no_table(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = add_input(library, "srs", "live/gdq")
    add_input(library, "srs", "live/other")

    def publish(stream: str, key: str, n: int) -> int:
        body: dict[str, Any] = {"action": "on_publish", "app": "live", "stream": stream}
        body |= {"param": f"?key={key}", "client_id": f"{stream} {n}"}
        path = "/webhooks/srs?token=the server's token"
        return client.request("POST", path, json=body).status_code

    def kept() -> list[str]:
        with library.session() as s:
            query = text("select state || ' ' || external_id from webhook_events order by id")
            return list(s.scalars(query))

    assert {publish("gdq", f"{GUESS}{n}", n) for n in range(20)} == {403}
    assert kept() == ["ignored live/gdq"]
    assert publish("other", GUESS, 0) == 403
    assert publish("gdq", right, 99) == 200
    assert kept() == ["ignored live/gdq", "ignored live/other", "applied live/gdq"]
    monkeypatch.setattr("aethex.service.inbox.REFUSED_SECONDS", 0.001)  # a minute later
    assert publish("gdq", GUESS, 100) == 403
    assert len(kept()) == 4
    counted = client.get("/metrics").text
    assert 'aethex_webhooks_total{outcome="refused",provider="srs"} 22.0' in counted


def add_input(library: Library, provider: str, external_id: str) -> str:
    key = new_stream_key()
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        inputs.add_input(s, channel.id, provider, external_id, key=key)
    return key
