"""Who a request is from, what is theirs, and sessions that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import update

from aethex.library import Channel, Library, User, UserSession, channels, sessions
from aethex.service.app import create_app
from aethex.service.identity import owns, required_owner, required_user, visitor_of
from aethex.service.problems import not_found
from aethex.settings import Settings
from tests.service.conftest import Client, serving
from tests.service.people import give_channel, person


def asking(settings: Settings) -> FastAPI:
    """The service with routes that tell what `identity` says."""
    app = create_app(settings)

    @app.get("/who")
    def who(request: Request) -> Any:
        first, again = visitor_of(request), visitor_of(request)
        return {"user": first.user_id, "is_asked_once": first is again}

    @app.get("/mine")
    def mine(request: Request) -> Any:
        return {"user": required_user(request).id}

    @app.get("/owned/{username}")
    def owned(request: Request, username: str, hidden: bool = False) -> Any:
        visitor = visitor_of(request)
        with request.app.state.resources.library.session() as s:
            channel = channels.by_username(s, username)
        assert channel is not None
        is_mine = owns(visitor, channel)
        why = not_found("VOD", "vod_1") if hidden else None
        assert required_owner(request, channel, hidden=why).id
        return {"is_mine": is_mine}

    return app


@pytest.fixture
def client(settings: Settings):
    with serving(asking(settings)) as client:
        yield client


def test_a_session_says_who_it_is_and_is_asked_for_once(
    client: Client, library: Library, settings: Settings
) -> None:
    ada = person(library, settings, "ada")
    assert ada.get(client, "/who").json() == {"user": ada.id, "is_asked_once": True}
    assert ada.get(client, "/mine").json() == {"user": ada.id}


@pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, "é" * 43, "A" * 5000])
def test_without_a_good_session_it_is_nobody(client: Client, cookie: str | None) -> None:
    headers = {} if cookie is None else {"Cookie": f"aethex_session={cookie}".encode()}
    assert client.get("/who", headers=headers).json()["user"] is None  # pyright: ignore
    refused = client.get("/mine", headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (
        401,
        "urn:aethex:problem:sign-in-required",
    )
    assert "/sign-in" in refused.json()["detail"]


def test_a_session_lasts_so_long_after_its_last_use(
    client: Client, library: Library, settings: Settings
) -> None:
    ada = person(library, settings, "ada")

    def used(ago: timedelta) -> None:
        with library.session() as s:
            s.execute(update(UserSession).values(used_at=datetime.now(UTC) - ago))

    used(timedelta(days=29, hours=23))
    assert ada.get(client, "/who").json()["user"] == ada.id
    with library.session() as s:  # that use counted
        keep = timedelta(days=1)
        assert sessions.count(s, ada.id, datetime.now(UTC), keep) == 1
    used(timedelta(days=30, seconds=1))
    assert ada.get(client, "/who").json()["user"] is None


def test_the_secret_is_not_in_the_database(library: Library, settings: Settings) -> None:
    ada = person(library, settings, "ada")
    with library.session() as s:
        (row,) = s.query(UserSession).all()
        assert ada.secret not in repr(vars(row))
        assert len(ada.secret) == 43  # 256 bits


def test_a_channel_is_its_owners_and_an_admins(
    client: Client, library: Library, settings: Settings
) -> None:
    ada, eve = person(library, settings, "ada"), person(library, settings, "eve")
    admin = person(library, settings, "root", role="admin")
    analyst = person(library, settings, "analyst", role="analyst")
    give_channel(library, "adas", ada)
    for somebody in (ada, admin):
        assert somebody.get(client, "/owned/adas").json() == {"is_mine": True}
    for other in (eve, analyst):
        refused = other.get(client, "/owned/adas")
        assert (refused.status_code, "@adas" in refused.json()["detail"]) == (403, True)
        assert other.get(client, "/owned/adas?hidden=true").status_code == 404
    assert client.get("/owned/adas").status_code == 401
    assert client.get("/owned/adas?hidden=true").status_code == 404


def test_a_channel_without_an_owner_is_nobodys() -> None:
    from aethex.service.identity import NOBODY, Visitor

    channel = Channel(id="ch_1", username="gdq", title="gdq", owner_id=None)
    assert not owns(NOBODY, channel)
    assert not owns(Visitor(User(id="usr_1", role="viewer")), channel)
    assert owns(Visitor(User(id="usr_1", role="admin")), channel)


def test_pages_of_who_is_signed_in_are_kept_nowhere(
    client: Client, library: Library, settings: Settings
) -> None:
    ada = person(library, settings, "ada")
    mine, everybodys = ada.get(client, "/"), client.get("/")
    assert mine.headers["cache-control"] == "no-store"
    assert everybodys.headers["cache-control"] == "no-cache"
    assert "Cookie" in mine.headers["vary"]
    assert "Cookie" in everybodys.headers["vary"]
    assert f'<meta name="csrf-token" content="{ada.csrf_token}">' in mine.text
    assert "csrf-token" not in everybodys.text


def test_behind_https_the_cookie_is_bound_to_the_host(library: Library, settings: Settings) -> None:
    https = settings.model_copy(update={"public_url": "https://live.example"})
    ada = person(library, https, "ada")
    assert ada.cookie.startswith("__Host-aethex_session=")
    with serving(asking(https)) as client:
        assert ada.get(client, "/who").json()["user"] == ada.id
        weak = {"Cookie": f"aethex_session={ada.secret}"}
        assert client.get("/who", headers=weak).json()["user"] is None
