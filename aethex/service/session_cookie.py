"""The cookie of a session: its name, what it allows browsers, reading and setting it.

What belongs here: the cookie alone. What does not: whose session it is (`identity`).

It holds a random secret of 256 bits. Scripts cannot read it, other sites cannot have it sent with
what changes something (SameSite), and over https it is bound to this very host (`__Host-`).
"""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection
from starlette.responses import Response

from aethex.settings import Settings

_NAME = "aethex_session"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_BROWSER_SECONDS = 400 * 24 * 3600
"""The longest that browsers keep a cookie. How long it is good is the library's to say."""


def cookie_name(settings: Settings) -> str:
    """The cookie's name; with a prefix over https, which browsers then guard."""
    return f"__Host-{_NAME}" if _is_https(settings) else _NAME


def session_secret(connection: HTTPConnection, settings: Settings) -> str | None:
    """The secret that the request brings, if it has the form of one; it may be nobody's."""
    text = connection.cookies.get(cookie_name(settings), "")
    return text if _SECRET.fullmatch(text) else None


def set_session(response: Response, secret: str, settings: Settings) -> None:
    """Have the browser keep the secret."""
    response.set_cookie(
        cookie_name(settings),
        secret,
        max_age=_BROWSER_SECONDS,
        path="/",
        secure=_is_https(settings),
        httponly=True,
        samesite="lax",
    )


def clear_session(response: Response, settings: Settings) -> None:
    """Have the browser forget the secret."""
    response.delete_cookie(
        cookie_name(settings),
        path="/",
        secure=_is_https(settings),
        httponly=True,
        samesite="lax",
    )


def _is_https(settings: Settings) -> bool:
    return settings.effective_public_url.startswith("https:")
