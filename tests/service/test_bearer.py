"""Tokens of an OIDC issuer in place of a session, below /api."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request

from aethex.library import Library, accounts, audit, vods
from aethex.service.app import create_app
from aethex.service.identity import required_user
from aethex.settings import Settings
from aethex.store import Store
from tests.oidc_issuer import CLIENT_ID, StandInIssuer, rsa_key, stand_in_issuer
from tests.service.conftest import Client, serving
from tests.service.content import add_vod
from tests.service.people import give_channel, person


@pytest.fixture
def issuer() -> Iterator[StandInIssuer]:
    with stand_in_issuer() as issuer:
        issuer.person = {"sub": "1", "preferred_username": "ada"}
        yield issuer


@pytest.fixture
def settings(settings: Settings, issuer: StandInIssuer) -> Settings:
    updated = {"oidc_issuer": issuer.url, "oidc_client_id": CLIENT_ID, "oidc_role_claim": "groups"}
    return settings.model_copy(update={**updated, "oidc_admin_values": ("ops",)})


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    app = create_app(settings)

    @app.post("/api/change")
    @app.post("/change")
    def change(request: Request) -> Any:
        return {"user": required_user(request).username, "role": required_user(request).role}

    with serving(app) as client:
        yield client


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


def test_a_token_is_a_visitor_with_an_account_of_their_own(
    client: Client, issuer: StandInIssuer, library: Library
) -> None:
    for _ in range(2):
        answer = client.request("POST", "/api/change", headers=bearer(issuer.token()))
        assert answer.json() == {"user": "ada", "role": "viewer"}
    admin = issuer.token(groups=["ops"])
    assert client.request("POST", "/api/change", headers=bearer(admin)).json()["role"] == "admin"
    with library.session() as s:
        assert [user.username for user in accounts.list_all(s)] == ["ada"]
        assert {e.action for e in audit.latest(s, 9)} == {"user.sign_up", "user.set_role"}


def test_a_private_vod_and_its_media_are_their_owners_by_token_too(
    client: Client, issuer: StandInIssuer, library: Library, settings: Settings, folder_store: Store
) -> None:
    vod = add_vod(library, folder_store, username="adas")
    headers = bearer(issuer.token())
    client.get("/api/channels", headers=headers)  # she comes for the first time
    give_channel(library, "adas", person(library, settings, "ada"))
    with library.session() as s:
        vods.set_public(s, vod.id, False)
    mine = client.get(f"/api/vods/{vod.id}", headers=headers)
    assert mine.status_code == 200
    assert {"Cookie", "Authorization"} <= set(mine.headers["vary"].split(", "))
    assert mine.headers["cache-control"] == "private, no-store"
    media = "/media/" + mine.json()["hls_url"].partition("/media/")[2]
    assert client.get(media, headers=headers).status_code == 200
    for other in ({}, bearer(issuer.token(sub="2", preferred_username="eve"))):
        assert client.get(f"/api/vods/{vod.id}", headers=other).status_code == 404
        assert client.get(media, headers=other).status_code == 404


def test_a_wrong_token_is_refused_with_a_reason_everywhere_below_api(
    client: Client, issuer: StandInIssuer
) -> None:
    secret = issuer.token(exp=1)
    for path in ("/api/channels", "/api/vods/x", "/api/analytics/streams/x"):
        answer = client.get(path, headers=bearer(secret))
        body = answer.json()
        assert (answer.status_code, body["type"]) == (401, "urn:aethex:problem:invalid-token")
        assert "It is over (exp)" in body["detail"]
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="aethex", error="invalid_token"')
        assert secret not in answer.text
        assert challenge.isascii()
    server = client.get("/api/channels", headers=bearer("aethex_abc"))
    assert "Server tokens are for POST /api/events" in server.json()["detail"]


def test_an_issuer_that_is_away_is_503_until_a_key_is_known(
    client: Client, issuer: StandInIssuer
) -> None:
    issuer.is_away = True
    answer = client.get("/api/channels", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["part"]) == (503, "issuer")
    assert client.get("/api/channels").status_code == 200


def test_known_keys_go_on_while_it_is_away(client: Client, issuer: StandInIssuer) -> None:
    token = issuer.token()
    assert client.get("/api/channels", headers=bearer(token)).status_code == 200
    issuer.is_away = True
    assert client.get("/api/channels", headers=bearer(token)).status_code == 200
    unknown = issuer.token(rsa_key("unknown"))
    assert client.get("/api/channels", headers=bearer(unknown)).status_code == 401


def test_with_a_token_the_cookie_counts_nothing_and_without_one_a_page_must_mean_it(
    client: Client, issuer: StandInIssuer, library: Library, settings: Settings
) -> None:
    eve = person(library, settings, "eve")
    both = bearer(issuer.token(), Cookie=eve.cookie)
    assert client.request("POST", "/api/change", headers=both).json()["user"] == "ada"
    wrong = bearer("nonsense", **eve.headers)
    assert client.request("POST", "/api/change", headers=wrong).status_code == 401
    for path, headers in (
        ("/change", both),  # no token is taken there
        ("/api/change", {"Cookie": eve.cookie, "Authorization": "Basic eve:x"}),
        ("/api/change", {"Cookie": eve.cookie}),
    ):
        assert client.request("POST", path, headers=headers).status_code == 403
    assert client.request("POST", "/change", headers=bearer(issuer.token())).status_code == 401


def test_tokens_of_backends_stay_as_they_are(client: Client, issuer: StandInIssuer) -> None:
    answer = client.request(
        "POST", "/api/events?sent_at=1", headers=bearer(issuer.token()), json=[]
    )
    assert answer.status_code == 401
    assert "aethex token list" in answer.json()["detail"] or "aethex_" in answer.json()["detail"]
