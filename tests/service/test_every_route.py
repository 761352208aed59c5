"""Nothing private of one account is returned to, or changed by, anybody else: every route is asked.

`ROUTES` says of each route how it is called with what belongs to Ada; a route that is not in it
fails the test. Each is called as nobody, as another user and with another user's token under Ada's
name, as far as that goes. Afterwards what is Ada's must be as it was, and no answer may have held
one of the texts that only she may see. Whoever adds a route adds a line, and to `Private` what it
could give away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from sqlalchemy import text

from aethex.library import (
    Library,
    NewCaptions,
    accounts,
    audit,
    captions,
    identities,
    inputs,
    likes,
    sessions,
    vods,
    watching,
)
from aethex.library.models import Base
from aethex.service.app import create_app
from aethex.service.csrf import is_left_out
from aethex.settings import Settings
from aethex.store import Store
from tests.oidc_issuer import CLIENT_ID, StandInIssuer, stand_in_issuer
from tests.service.conftest import Client, serving
from tests.service.content import MP4, PLAYLIST, POSTER, MadeVod, add_vod
from tests.service.people import Person, give_channel, person

SECRET_TITLE = "Hidden rehearsal of the finale"
KEEP = timedelta(days=1)
WATCHED_AT = datetime(2026, 1, 1, tzinfo=UTC)
HER_SUBJECT = "ada-at-the-issuer"
SECRET_TEXT = "only for me: the plot"
SECRET_LABEL = "English as she hears it"
SECRET_CAPTIONS = b"WEBVTT\n\n00:01.000 --> 00:02.000\nwhat was said\n"
_NOT_HERS = ("attempts", "audit_log", "user_sessions", "library_version", "outbox")
"""Tables that others rightly write, checked by their rows of hers."""


@dataclass(frozen=True)
class Call:
    """How a route is called: its path with names of `Private.places` in it, query, and body.

    is_open: also who is not Ada gets an answer below 400. A path may be given several times, once
    a line.
    """

    path: str
    query: str = ""
    form: Mapping[str, str] | None = None
    json: Any = None
    file: bytes | None = None
    is_open: bool = False


OBJECTS = (
    "{vod}/index.m3u8",
    "{run}/init.mp4",
    "{run}/000000.m4s",
    "{run}/000001.m4s",
    "{run}/poster.jpg",
    "{run}/video.mp4",
    "{vod}/captions-en.vtt",
)
MEDIA = [
    Call(f"/media/{token}/{path}") for token in ("{token}", "{public_token}") for path in OBJECTS
]

ROUTES: dict[str, list[Call]] = {
    # what everybody sees: without what is private
    "GET /": [Call("/", is_open=True)],
    "GET /channel/{username}": [Call("/channel/adas", is_open=True)],
    "GET /channel/{username}/vods": [Call("/channel/adas/vods", is_open=True)],
    "GET /api/channels": [Call("/api/channels", is_open=True)],
    "GET /api/channels/{channel_id}": [Call("/api/channels/{channel}", is_open=True)],
    "GET /api/channels/{channel_id}/vods": [Call("/api/channels/{channel}/vods", is_open=True)],
    "GET /api/trending/vods": [Call("/api/trending/vods", is_open=True)],
    "GET /api/analytics/streams/{stream_id}": [Call("/api/analytics/streams/{stream}")],
    "GET /api/analytics/channels/{channel_id}": [Call("/api/analytics/channels/{channel}")],
    "GET /api/analytics/charts/viewers": [
        Call("/api/analytics/charts/viewers", "stream_id={stream}")
    ],
    # a private VOD and each of its objects
    "GET /vods/{vod_id}": [Call("/vods/{vod}")],
    "GET /api/vods/{vod_id}": [Call("/api/vods/{vod}")],
    "GET /media/{token}/{path:path}": MEDIA,
    "HEAD /media/{token}/{path:path}": MEDIA,
    "OPTIONS /media/{token}/{path:path}": [Call("/media/{token}/{vod}/index.m3u8", is_open=True)],
    "PUT /api/vods/{vod_id}": [Call("/api/vods/{vod}", json={"title": "Mine", "is_public": True})],
    "DELETE /api/vods/{vod_id}": [Call("/api/vods/{vod}")],
    "POST /api/vods/{vod_id}/restore": [Call("/api/vods/{vod}/restore")],
    "PUT /api/vods/{vod_id}/captions/{language}": [Call("/api/vods/{vod}/captions/en", json="x")],
    "DELETE /api/vods/{vod_id}/captions/{language}": [Call("/api/vods/{vod}/captions/en")],
    "POST /vods/{vod_id}/captions": [
        Call("/vods/{vod}/captions", form={"language": "en"}),
        Call("/vods/{vod}/captions", form={"language": "en"}, file=b"WEBVTT\n\n"),
    ],
    "POST /vods/{vod_id}/captions/{language}/remove": [
        Call("/vods/{vod}/captions/en/remove", form={})
    ],
    "GET /api/vods/{vod_id}/ledger": [Call("/api/vods/{vod}/ledger")],
    "POST /vods/{vod_id}/edit": [Call("/vods/{vod}/edit", form={"title": "Mine"})],
    "POST /vods/{vod_id}/delete": [Call("/vods/{vod}/delete", form={})],
    "POST /vods/{vod_id}/restore": [Call("/vods/{vod}/restore", form={})],
    # watching: one's own only
    "POST /api/vods/{vod_id}/like": [Call("/api/vods/{vod}/like")],
    "DELETE /api/vods/{vod_id}/like": [Call("/api/vods/{vod}/like")],
    "POST /vods/{vod_id}/like": [Call("/vods/{vod}/like", form={"like": "on"})],
    "POST /api/channels/{channel_id}/follow": [
        Call("/api/channels/{channel}/follow", is_open=True)
    ],
    "DELETE /api/channels/{channel_id}/follow": [
        Call("/api/channels/{channel}/follow", is_open=True)
    ],
    "POST /channels/{channel_id}/follow": [
        Call("/channels/{channel}/follow", form={"follow": "off"}, is_open=True)
    ],
    "GET /api/watch-progress": [Call("/api/watch-progress", "vod_id={vod}", is_open=True)],
    "POST /api/watch-progress": [
        Call(
            "/api/watch-progress",
            json={"vod_id": "{vod}", "position_seconds": 3, "client_at": "2026-01-01T00:00:00Z"},
        )
    ],
    "GET /api/watch-history": [Call("/api/watch-history", is_open=True)],
    "DELETE /api/watch-history/{vod_id}": [Call("/api/watch-history/{vod}", is_open=True)],
    "POST /api/watch-history/clear": [Call("/api/watch-history/clear", is_open=True)],
    "POST /api/watch-history/restore": [
        Call(
            "/api/watch-history/restore", json={"removed_at": "2026-01-01T00:00:00Z"}, is_open=True
        )
    ],
    "GET /history": [Call("/history", is_open=True)],
    "POST /history/remove": [Call("/history/remove", form={"vod_id": "{vod}"}, is_open=True)],
    "POST /history/clear": [Call("/history/clear", form={}, is_open=True)],
    "POST /history/restore": [
        Call("/history/restore", form={"removed_at": "2026-01-01T00:00:00Z"}, is_open=True)
    ],
    # accounts
    "GET /sign-in": [Call("/sign-in", is_open=True)],
    "POST /sign-in": [
        Call("/sign-in", form={"username": "ada", "password": "not her password"}),
        Call("/sign-in", form={"username": "{ada}", "password": "{hash}"}),
    ],
    "GET /sign-in/oidc": [
        Call("/sign-in/oidc", "next=/settings", is_open=True),
        Call("/sign-in/oidc", "link={ada}"),
    ],
    "GET /sign-in/oidc/callback": [Call("/sign-in/oidc/callback", "code={hash}&state={ada}")],
    "GET /sign-up": [Call("/sign-up", is_open=True)],
    "POST /sign-up": [Call("/sign-up", form={"username": "ada", "password": "a new password"})],
    "POST /sign-out": [Call("/sign-out", is_open=True)],
    "GET /settings": [Call("/settings", "channel=adas", is_open=True)],
    "POST /settings/profile": [
        Call("/settings/profile", form={"display_name": "Eve", "user_id": "{ada}"}, is_open=True)
    ],
    "POST /settings/channels": [Call("/settings/channels", form={"username": "adas"})],
    "POST /settings/inputs": [
        Call(
            "/settings/inputs",
            "channel=adas",
            form={"channel_id": "{channel}", "provider": "srs", "external_id": "live/eve"},
        )
    ],
    "POST /settings/inputs/{input_id}/new-key": [Call("/settings/inputs/{input}/new-key", form={})],
    "POST /settings/inputs/{input_id}/remove": [Call("/settings/inputs/{input}/remove", form={})],
    "POST /settings/recording": [
        Call(
            "/settings/recording", "channel=adas", form={"channel_id": "{channel}", "keep": "never"}
        )
    ],
    "POST /settings/password": [
        Call("/settings/password", form={"present": "{hash}", "password": "a new password"})
    ],
    "POST /settings/oidc/unlink": [
        Call("/settings/oidc/unlink", form={"user_id": "{ada}"}, is_open=True)
    ],
    "POST /settings/sessions/end": [
        Call("/settings/sessions/end", form={"user_id": "{ada}"}, is_open=True)
    ],
    # players: they send, and are told nothing of anybody
    "POST /api/events": [
        Call("/api/events", "sent_at=2026-01-01T00:00:00Z&viewer={ada}.x", json=[], is_open=True)
    ],
    "POST /api/viewer": [Call("/api/viewer", "viewer={ada}.x&embed=true", is_open=True)],
    # providers: nothing is taken that nobody signed
    "POST /webhooks/{provider}": [
        Call("/webhooks/srs", json={"action": "on_publish", "app": "live", "stream": "adas"})
    ],
    "GET /webhooks/mediamtx": [Call("/webhooks/mediamtx", "path=adas")],
    "POST /webhooks/mediamtx/auth": [
        Call("/webhooks/mediamtx/auth", json={"action": "publish", "path": "adas"})
    ],
    # the service itself
    "GET /healthz": [Call("/healthz", is_open=True)],
    "GET /readyz": [Call("/readyz", is_open=True)],
    "GET /metrics": [Call("/metrics", is_open=True)],
    "GET /openapi.json": [Call("/openapi.json", is_open=True)],
    "HEAD /openapi.json": [Call("/openapi.json", is_open=True)],
    "GET /player.js": [Call("/player.js", is_open=True)],
    "GET /static/{version}/{name:path}": [Call("/static/x/aethex.css", is_open=True)],
    "GET /static/vendor/{version}/{name:path}": [Call("/static/vendor/x/none.js", is_open=True)],
}


@dataclass(frozen=True)
class Private:
    """What is Ada's: where it is, and texts that nobody else may ever be sent."""

    ada: Person
    vod: MadeVod
    places: Mapping[str, str]
    texts: list[bytes] = field(default_factory=list[bytes])


def routes_of(app: FastAPI) -> Iterator[str]:
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or {"WEBSOCKET"}):
            yield f"{method} {route.path}"


@pytest.fixture(scope="module")
def issuer() -> Iterator[StandInIssuer]:
    with stand_in_issuer() as issuer:
        yield issuer


@pytest.fixture
def settings(settings: Settings, issuer: StandInIssuer) -> Settings:
    """With webhooks and an issuer set up, so that calls are refused for what they lack."""
    tokens = ("srs_webhook_token", "mediamtx_webhook_token")
    updated: dict[str, Any] = {name: SecretStr("the servers' token") for name in tokens}
    updated |= {"oidc_issuer": issuer.url, "oidc_client_id": CLIENT_ID}
    return settings.model_copy(update=updated)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serving(create_app(settings)) as client:
        yield client


@pytest.fixture
def hers(client: Client, library: Library, settings: Settings, folder_store: Store) -> Private:
    stored_hash = "no password has this hash, and nobody is told it"
    with library.session() as s:
        user = accounts.sign_up(s, audit.COMMAND_LINE, "ada", "Ada", stored_hash)
        identities.link(s, audit.COMMAND_LINE, user.id, str(settings.oidc_issuer), HER_SUBJECT)
    ada = person(library, settings, "ada")
    vod = add_vod(
        library, folder_store, username="adas", title=SECRET_TITLE, description=SECRET_TEXT
    )
    give_channel(library, "adas", ada)
    public = urlsplit(client.get(f"/api/vods/{vod.id}").json()["hls_url"]).path.split("/")[2]
    with library.session() as s:
        pulled = "rtmp://1.1.1.1/live/her-own-place"
        added = inputs.add_input(s, vod.channel_id, "mediamtx", "adas", pull_url=pulled)
        key = f"{vod.prefix}{vod.id}/captions-en.vtt"
        folder_store.put(key, SECRET_CAPTIONS)
        captions.put(s, vod.id, NewCaptions("en", SECRET_LABEL, "captions", "owner", key, 9, 1))
        row = vods.set_public(s, vod.id, False)
        likes.like(s, ada.id, row)
        watching.save(s, ada.id, row, 3_000, WATCHED_AT, WATCHED_AT)
    body = ada.get(client, f"/api/vods/{vod.id}").json()
    token = urlsplit(body["hls_url"]).path.split("/")[2]
    places = {
        "ada": ada.id,
        "hash": stored_hash,
        "vod": vod.id,
        "run": vod.run_id,
        "stream": vod.stream_id,
        "channel": vod.channel_id,
        "input": added.id,
        "token": token,
        "public_token": public,
    }
    told = [
        *(SECRET_TITLE, SECRET_TEXT, SECRET_LABEL, HER_SUBJECT, pulled),
        *(stored_hash, ada.secret, ada.csrf_token, token),
    ]
    texts = [*(one.encode() for one in told), PLAYLIST, MP4, POSTER, b"first segment"]
    texts.append(SECRET_CAPTIONS)
    return Private(ada, vod, places, texts)


def state_of(library: Library, hers: Private) -> dict[str, Any]:
    """All rows but those that others rightly write, and of these hers."""
    with library.session() as s:
        state = {
            table.name: s.scalar(
                text(f"select string_agg(t::text, E'\\n' order by t::text) from {table.name} t")
            )
            for table in Base.metadata.sorted_tables
            if table.name not in _NOT_HERS
        }
        done_by_her = [e.id for e in audit.latest(s, 999) if e.user_id == hers.ada.id]
        good = sessions.user_of(s, hers.ada.secret, datetime.now(UTC), KEEP)
        return {**state, "audit": done_by_her, "is_signed_in": good is not None}


def send(
    client: Client, route: str, call: Call, hers: Private, who: Person | None
) -> httpx.Response:
    path = call.path.format(**hers.places)
    query = f"?{call.query.format(**hers.places)}" if call.query else ""
    options: dict[str, Any] = {}
    if call.form is not None:
        token = {"csrf_token": who.csrf_token} if who else {}
        filled = {name: value.format(**hers.places) for name, value in call.form.items()}
        options["data"] = {**filled, **token}
    if call.file is not None:
        options["files"] = {"file": ("file", call.file)}
    if call.json is not None:
        options["json"] = _filled(call.json, hers.places)
    headers = who.headers if who else {}
    return client.request(route.split()[0], path + query, headers=headers, **options)


def _filled(body: Any, places: Mapping[str, str]) -> Any:
    if not isinstance(body, dict):
        return body
    return {k: v.format(**places) if isinstance(v, str) else v for k, v in body.items()}


def test_every_route_is_listed_here() -> None:
    app = create_app(Settings(_env_file=None))  # pyright: ignore[reportCallIssue]
    assert set(routes_of(app)) == set(ROUTES)


@pytest.mark.parametrize("who", ["nobody", "another user"])
def test_nothing_private_is_returned_or_changed(
    client: Client, library: Library, settings: Settings, hers: Private, who: str
) -> None:
    person(library, settings, "eve")  # before the rows are looked at
    before = state_of(library, hers)
    wrong: list[tuple[str, str, object]] = []
    for route, calls in ROUTES.items():
        for call in calls:
            # a session of each call's own, as some of them end it
            eve = person(library, settings, "eve") if who == "another user" else None
            answer = send(client, route, call, hers, eve)
            sent = answer.content + repr(sorted(answer.headers.items())).encode()
            known = str(answer.request.url).encode()  # an error repeats the address
            told = [held for held in hers.texts if held in sent and held not in known]
            wrong += [(route, call.path, held) for held in told]
            if not call.is_open and answer.status_code < 400:
                wrong.append((route, call.path, answer.status_code))
            if answer.status_code >= 500 and answer.json().get("part") != "build":
                wrong.append((route, call.path, answer.status_code))
    assert wrong == []
    after = state_of(library, hers)
    if who == "another user":  # who renamed herself
        after["users"] = after["users"].replace('"Eve"', "eve").replace(",Eve,", ",eve,")
    assert after == before


def test_ada_herself_gets_all_of_it(client: Client, hers: Private) -> None:
    """Else the test above would prove nothing."""
    got = b"".join(
        send(client, route, call, hers, hers.ada).content
        for route in ("GET /vods/{vod_id}", "GET /api/vods/{vod_id}", "GET /settings")
        for call in ROUTES[route]
    )
    media = [
        send(client, "GET", call, hers, hers.ada)
        for call in ROUTES["GET /media/{token}/{path:path}"]
        if "{token}" in call.path
    ]
    assert [answer.status_code for answer in media] == [200] * len(OBJECTS)
    held = [one for one in hers.texts if one in got + b"".join(one.content for one in media)]
    hidden_always = {text.encode() for text in (hers.ada.secret, hers.places["hash"], HER_SUBJECT)}
    assert set(held) == set(hers.texts) - hidden_always


def test_another_users_token_is_worth_nothing_with_her_session(
    client: Client, library: Library, settings: Settings, hers: Private
) -> None:
    """What a page of another site could have her browser send."""
    eve = person(library, settings, "eve")
    forged = Person(hers.ada.user, hers.ada.secret, eve.csrf_token, hers.ada.cookie)
    before = state_of(library, hers)
    for route, calls in ROUTES.items():
        if not route.startswith(("POST", "PUT", "PATCH", "DELETE")):
            continue
        for call in (call for call in calls if not is_left_out(call.path)):
            assert send(client, route, call, hers, forged).status_code == 403, route
    assert state_of(library, hers) == before
