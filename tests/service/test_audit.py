"""Every route that changes something is in the audit log, or is here with the reason why not.

`AUDITED` says of each route how Ada calls it and what the log then says; whoever adds a route adds
a line, or one to `NOT_AUDITED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from aethex.library import AuditEntry, Library, audit, identities, inputs
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store
from tests.service.conftest import Client
from tests.service.content import add_vod
from tests.service.people import Person, give_channel, person
from tests.service.test_accounts import PASSWORD, sign_up
from tests.service.test_every_route import client, issuer, routes_of, settings

__all__ = ["client", "issuer", "settings"]  # fixtures: a service with an issuer

ADDRESS = "127.0.0.1"
CAPTIONS = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")

NOT_AUDITED = {
    "what one watches, likes and follows is one's own": [
        "POST /api/vods/{vod_id}/like",
        "DELETE /api/vods/{vod_id}/like",
        "POST /vods/{vod_id}/like",
        "POST /api/channels/{channel_id}/follow",
        "DELETE /api/channels/{channel_id}/follow",
        "POST /channels/{channel_id}/follow",
        "POST /api/watch-progress",
        "DELETE /api/watch-history/{vod_id}",
        "POST /api/watch-history/clear",
        "POST /api/watch-history/restore",
        "POST /history/remove",
        "POST /history/clear",
        "POST /history/restore",
    ],
    "players send it, and the lake keeps it": ["POST /api/events", "POST /api/viewer"],
    "the inbox keeps it": ["POST /webhooks/{provider}"],
    "it only asks": ["POST /webhooks/mediamtx/auth"],
}


@dataclass(frozen=True)
class Write:
    """A call by Ada, and the actions that it notes; `subject` is a name of the places, or None."""

    path: str
    actions: tuple[str, ...]
    subject: str | None
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    json: Any = None
    body: bytes | None = None
    file: bytes | None = None
    is_signed_in: bool = True


# In an order in which each can be done.
AUDITED: dict[str, Write] = {
    "PUT /api/vods/{vod_id}": Write(
        "/api/vods/{vod}", ("vod.change",), "vod", json={"is_public": False}
    ),
    "POST /vods/{vod_id}/edit": Write(
        "/vods/{vod}/edit", ("vod.change",), "vod", {"title": "Another", "is_public": "yes"}
    ),
    "PUT /api/vods/{vod_id}/captions/{language}": Write(
        "/api/vods/{vod}/captions/en", ("vod.captions",), "vod", body=CAPTIONS
    ),
    "DELETE /api/vods/{vod_id}/captions/{language}": Write(
        "/api/vods/{vod}/captions/en", ("vod.captions.remove",), "vod"
    ),
    "POST /vods/{vod_id}/captions": Write(
        "/vods/{vod}/captions", ("vod.captions",), "vod", {"language": "de"}, file=CAPTIONS
    ),
    "POST /vods/{vod_id}/captions/{language}/remove": Write(
        "/vods/{vod}/captions/de/remove", ("vod.captions.remove",), "vod"
    ),
    "DELETE /api/vods/{vod_id}": Write("/api/vods/{vod}", ("vod.delete",), "vod"),
    "POST /api/vods/{vod_id}/restore": Write("/api/vods/{vod}/restore", ("vod.restore",), "vod"),
    "POST /vods/{vod_id}/delete": Write("/vods/{vod}/delete", ("vod.delete",), "vod"),
    "POST /vods/{vod_id}/restore": Write("/vods/{vod}/restore", ("vod.restore",), "vod"),
    "POST /settings/inputs": Write(
        "/settings/inputs",
        ("input.add",),
        None,
        {"channel_id": "{channel}", "provider": "srs", "external_id": "live/ada"},
    ),
    "POST /settings/inputs/{input_id}/new-key": Write(
        "/settings/inputs/{input}/new-key", ("input.new_key",), "input"
    ),
    "POST /settings/inputs/{input_id}/remove": Write(
        "/settings/inputs/{input}/remove", ("input.remove",), "input"
    ),
    "POST /settings/recording": Write(
        "/settings/recording",
        ("recording.change",),
        "channel",
        {"channel_id": "{channel}", "keep": "never"},
    ),
    "POST /settings/profile": Write(
        "/settings/profile", ("user.set_display_name",), "ada", {"display_name": "Ada L."}
    ),
    "POST /settings/oidc/unlink": Write("/settings/oidc/unlink", ("user.unlink_identity",), "ada"),
    "POST /settings/password": Write(
        "/settings/password",
        ("user.set_password",),
        "ada",
        {"present": PASSWORD, "password": "another horse battery"},
    ),
    "POST /settings/sessions/end": Write(
        "/settings/sessions/end", ("user.sign_out_everywhere",), "ada"
    ),
    "POST /sign-out": Write("/sign-out", ("user.sign_out",), "ada"),
    "POST /sign-in": Write(
        "/sign-in",
        ("user.sign_in",),
        "ada",
        {"username": "ada", "password": "another horse battery"},
        is_signed_in=False,
    ),
    # another account's, and the newest user's
    "POST /sign-up": Write(
        "/sign-up",
        ("user.sign_up", "user.sign_in"),
        None,
        {"username": "grace", "password": PASSWORD},
        is_signed_in=False,
    ),
    "POST /settings/channels": Write(
        "/settings/channels", ("channel.create",), None, {"username": "newest"}
    ),
}


@pytest.fixture
def places(
    client: Client, library: Library, settings: Settings, folder_store: Store
) -> dict[str, str]:
    """What is Ada's, who has a password and an identity."""
    assert sign_up(client).status_code == 303
    ada = person(library, settings, "ada")
    vod = add_vod(library, folder_store, username="adas")
    give_channel(library, "adas", ada)
    with library.session() as s:
        identities.link(s, audit.COMMAND_LINE, ada.id, str(settings.oidc_issuer), "ada-there")
        added = inputs.add_input(s, vod.channel_id, "mediamtx", "adas")
    return {"ada": ada.id, "vod": vod.id, "channel": vod.channel_id, "input": added.id}


def send(
    client: Client, route: str, write: Write, places: Mapping[str, str], who: Person | None
) -> httpx.Response:
    headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    headers |= who.headers if who else {}
    options: dict[str, Any] = {"json": write.json} if write.json is not None else {}
    if write.body is not None:
        options["content"] = write.body
    elif write.json is None:
        token = {"csrf_token": who.csrf_token} if who else {}
        filled = {name: value.format(**places) for name, value in write.form.items()}
        options["data"] = {**filled, **token}
    if write.file is not None:
        options["files"] = {"file": ("file", write.file)}
    path = write.path.format(**places)
    return client.request(route.split()[0], path, headers=headers, **options)


def new_entries(library: Library, last_id: int) -> list[AuditEntry]:
    with library.session() as s:
        return [entry for entry in reversed(audit.latest(s, 99)) if entry.id > last_id]


def test_every_route_that_changes_something_is_named_here() -> None:
    app = create_app(Settings(_env_file=None))  # pyright: ignore[reportCallIssue]
    named = [*AUDITED, *(route for routes in NOT_AUDITED.values() for route in routes)]
    assert sorted(named) == sorted(one for one in routes_of(app) if one.startswith(UNSAFE))


def test_each_change_is_in_the_log_with_who_made_it_and_what_it_is_of(
    client: Client, library: Library, settings: Settings, places: dict[str, str]
) -> None:
    wrong: list[object] = []
    for route, write in AUDITED.items():
        # a session of each call's own, as some end it; who signed up just now has no channel yet
        username = "grace" if write.path == "/settings/channels" else "ada"
        who = person(library, settings, username) if write.is_signed_in else None
        with library.session() as s:
            last_id = max((entry.id for entry in audit.latest(s, 1)), default=0)
        answer = send(client, route, write, places, who)
        found = new_entries(library, last_id)
        actor_id = who.id if who else found[-1].user_id if found else None
        is_right = (
            answer.status_code < 400
            and tuple(entry.action for entry in found) == write.actions
            and all((e.user_id, e.address) == (actor_id, ADDRESS) for e in found)
            and actor_id is not None
            and (write.subject is None or found[-1].subject_id == places[write.subject])
        )
        if not is_right:
            noted = [(e.action, e.user_id, e.subject_id, e.address) for e in found]
            wrong.append((route, answer.status_code, noted))
    assert wrong == []


def test_the_log_holds_no_secret(
    client: Client, library: Library, settings: Settings, places: dict[str, str]
) -> None:
    ada = person(library, settings, "ada")
    answer = send(client, "POST /", AUDITED["POST /settings/inputs"], places, ada)
    assert answer.status_code == 200
    send(client, "POST /", AUDITED["POST /settings/password"], places, ada)
    with library.session() as s:
        log = str(s.scalar(text("select string_agg(t::text, ' ') from audit_log t")))
        digests = s.scalars(text("select key_digest from channel_inputs")).all()
    assert "input.add" in log
    assert "user.set_password" in log
    secrets = [PASSWORD, "another horse battery", *filter(None, digests)]
    assert [one for one in secrets if one in log] == []
