"""People with accounts, in tests: signed in, with what a page of ours would send for them.

What belongs here: making them. What does not: signing in through the pages (`test_accounts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from aethex.library import Library, Role, User, channels, sessions, users
from aethex.service.csrf_tokens import CsrfTokens
from aethex.service.secret import service_key
from aethex.service.session_cookie import cookie_name
from aethex.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import Client


@dataclass(frozen=True)
class Person:
    """A user, the secret of a session of theirs, and how their browser sends it."""

    user: User
    secret: str
    csrf_token: str
    cookie: str

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def headers(self) -> dict[str, str]:
        """What a script of one of our pages sends."""
        return {
            "Cookie": self.cookie,
            "Sec-Fetch-Site": "same-origin",
            "X-CSRF-Token": self.csrf_token,
        }

    def get(self, client: Client, path: str, **headers: str) -> httpx.Response:
        """Open it."""
        return client.get(path, headers={"Cookie": self.cookie, **headers})

    def post(self, client: Client, path: str, **fields: Any) -> httpx.Response:
        """Send a form of one of our pages."""
        return client.request(
            "POST",
            path,
            data={"csrf_token": self.csrf_token, **fields},
            headers={
                "Cookie": self.cookie,
                "Sec-Fetch-Site": "same-origin",
                "Accept": "text/html",
            },
        )


def person(library: Library, settings: Settings, username: str, *, role: Role = "viewer") -> Person:
    """A user of this name, made when missing, who has just signed in."""
    with library.session() as s:
        user = users.ensure_user(s, username)
        user.role = role
        secret = sessions.begin(s, user.id, datetime.now(UTC))
    token = CsrfTokens(service_key(settings)).of(secret)
    return Person(user, secret, token, f"{cookie_name(settings)}={secret}")


def give_channel(library: Library, username: str, owner: Person) -> str:
    """Make the person own the channel of this username, made when missing; its id."""
    with library.session() as s:
        channel = channels.ensure_channel(s, username)
        channel.owner_id = owner.id
    return channel.id
