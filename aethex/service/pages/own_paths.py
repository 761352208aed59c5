"""Where somebody goes on after signing in: only to addresses of this service.

What belongs here: judging such an address. What does not: sending anybody there.
"""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request

_MOST_CHARACTERS = 1000
_SIGNING = ("/sign-in", "/sign-up", "/sign-out")


def own_path(text: str | None) -> str:
    """`text` if it is a path of this service, else `/`.

    Browsers read `//host`, `/\\host` and `/<tab>/host` as another site: none of them is one.
    """
    if not text or len(text) > _MOST_CHARACTERS or not text.startswith("/"):
        return "/"
    is_plain = all("!" <= character <= "~" and character != "\\" for character in text)
    return text if is_plain and not text.startswith("//") else "/"


def sign_in_path(request: Request) -> str:
    """The address to sign in at, from where one comes back to this page."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or here == "/" or request.url.path.startswith(_SIGNING):
        return "/sign-in"
    return f"/sign-in?{urlencode({'next': own_path(here)})}"
