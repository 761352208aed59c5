"""Headers that every answer carries, and the content security policy of pages.

What belongs here: middleware about headers, and the policies. What does not: caching, CORS of
media.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts only from our own files, nothing inline. hls.js feeds the video through blob: addresses
# and runs its worker from one; captions that it finds in the picture begin as an empty track from a
# data: address. media-chrome puts <style> elements in its shadow roots, so the
# player's page alone allows inline styles.
_COMMON = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "script-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'"
)
PAGE_POLICY = f"{_COMMON}; style-src 'self'"
PLAYER_POLICY = (
    f"{_COMMON}; style-src 'self' 'unsafe-inline'; media-src 'self' blob: data:; "
    "worker-src 'self' blob:"
)
_BARE_POLICY = "default-src 'none'; frame-ancestors 'none'"

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def add_security_headers(headers: MutableHeaders, *, is_https: bool) -> None:
    """Add those that an answer does not set itself."""
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    if is_https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    headers.setdefault("Content-Security-Policy", _BARE_POLICY)


class SecurityHeaders:
    """Adds them to every answer of the application; weakens entity tags of compressed ones.

    Not to answers to unexpected errors: these are made outside of all middleware.
    """

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self.app = app
        self.is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                add_security_headers(headers, is_https=self.is_https)
                _weaken_tag_of_compressed(headers)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class HeadAsGet:
    """Answers HEAD with the headers of GET; media has an answer of its own, which reads nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        if not is_http or scope["method"] != "HEAD" or scope["path"].startswith("/media/"):
            await self.app(scope, receive, send)
            return

        async def send_headers_only(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_headers_only)


def _weaken_tag_of_compressed(headers: MutableHeaders) -> None:
    """A strong tag names exact bytes, which compression changes (RFC 9110, section 8.8.3)."""
    tag = headers.get("etag", "")
    if "content-encoding" in headers and tag.startswith('"'):
        headers["etag"] = f"W/{tag}"
