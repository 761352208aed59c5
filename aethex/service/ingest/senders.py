"""Who sends a batch: a backend with a server token, or a player of a signed-in user, or one with a
viewer's signed id.

What belongs here: recognising the sender of a request, and what it may do. What does not: events.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Generic, TypeVar

import anyio.to_thread
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from starlette.requests import Request

from aethex.library import Library, ServerToken, sessions, tokens
from aethex.service.ingest.viewers import COOKIE, ViewerIds
from aethex.service.problems import Problem
from aethex.service.session_cookie import session_secret
from aethex.settings import Settings

TOKEN_SECONDS = 5.0
"""How long a token or a session is trusted before the library is asked again: a revocation works
after that.
"""

_TOKENS_AT_MOST = 1_000
_USERS_AT_MOST = 50_000
_TOKEN_CHARACTERS = 200
_AGENT_CHARACTERS = 512
_UNKNOWN_ADDRESS = "unknown"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a batch.

    name: `player`, or the token's id.
    is_server: with a server token; channel_id: the one channel that it is for, None: all of them.
    viewer_id: of a player: the signed-in user, else its signed id; None where it has none or wishes
    not to be tracked.
    crawler: the known crawler that a player's user agent names. address: of a player.
    """

    name: str
    is_server: bool
    channel_id: str | None
    viewer_id: str | None
    crawler: str | None
    address: str

    @property
    def is_platform(self) -> bool:
        """Whether it is a backend of the platform, whose word counts for every channel."""
        return self.is_server and self.channel_id is None


class Senders:
    """Recognises senders; tokens and sessions are remembered for a few seconds."""

    def __init__(
        self,
        library: Library,
        viewers: ViewerIds,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._viewers = viewers
        self._settings = settings
        self._clock = clock
        self._tokens: _Remembered[ServerToken] = _Remembered(_TOKENS_AT_MOST)
        self._users: _Remembered[str] = _Remembered(_USERS_AT_MOST)

    async def of(self, request: Request) -> Sender:
        """The request's sender. Raises Problem (401) for a token that is none, or no longer one."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            return await self._player(request)
        token = await self._token(authorization)
        return Sender(token.id, True, token.channel_id, None, None, "")

    async def _player(self, request: Request) -> Sender:
        return Sender(
            name="player",
            is_server=False,
            channel_id=None,
            viewer_id=None if wants_no_tracking(request) else await self._viewer(request),
            crawler=crawler_of(request.headers.get("user-agent", "")),
            address=request.client.host if request.client else _UNKNOWN_ADDRESS,
        )

    async def _token(self, authorization: str) -> ServerToken:
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or len(text) > _TOKEN_CHARACTERS:
            raise _unauthorized("Authorization takes a server token: `Bearer aethex_…`.")
        is_known, token = self._tokens.get(text, self._clock() - TOKEN_SECONDS)
        if not is_known:
            token = await anyio.to_thread.run_sync(self._look_up, text)
        if token is None:
            raise _unauthorized(
                "The server token is not known, or was revoked: `aethex token list` shows which "
                "there are."
            )
        return token

    def _look_up(self, text: str) -> ServerToken | None:
        at = self._clock()
        with self._library.session() as session:
            token = tokens.recognise(session, text, datetime.now(UTC))
        self._tokens.keep(text, at, token)
        return token

    async def _viewer(self, request: Request) -> str | None:
        """An embed's own id, which is kept apart from all other sites; else the signed-in user;
        else the id in the cookie. Nobody can name a user: only the session says who it is.
        """
        if signed := request.query_params.get("viewer"):
            return self._viewers.read(signed)
        secret = session_secret(request, self._settings)
        user_id = await self._user(secret) if secret is not None else None
        return user_id or self._viewers.read(request.cookies.get(COOKIE))

    async def _user(self, secret: str) -> str | None:
        is_known, user_id = self._users.get(secret, self._clock() - TOKEN_SECONDS)
        if not is_known:
            user_id = await anyio.to_thread.run_sync(self._look_up_user, secret)
        return user_id

    def _look_up_user(self, secret: str) -> str | None:
        at, keep = self._clock(), timedelta(days=self._settings.session_days)
        with self._library.session() as session:
            user = sessions.user_of(session, secret, datetime.now(UTC), keep)
        self._users.keep(secret, at, user.id if user else None)
        return user.id if user else None


class _Remembered(Generic[T]):
    """What texts stood for, and since when that is known; the oldest go first."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._known: OrderedDict[str, tuple[float, T | None]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, since: float) -> tuple[bool, T | None]:
        """Whether it became known after `since`, and what it stands for (None: nothing)."""
        at, value = self._known.get(text, (float("-inf"), None))
        return at > since, value

    def keep(self, text: str, at: float, value: T | None) -> None:
        """Remember what the text stood for at that time."""
        with self._lock:
            self._known[text] = (at, value)
            self._known.move_to_end(text)
            while len(self._known) > self._at_most:
                self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


def wants_no_tracking(request: Request) -> bool:
    """Whether the browser asks not to be tracked (Do Not Track, Global Privacy Control)."""
    return request.headers.get("dnt") == "1" or request.headers.get("sec-gpc") == "1"


def crawler_of(user_agent: str | None) -> str | None:
    """The name of the known crawler that a user agent names; None for a browser, and where no user
    agent is known.

    A program that says nothing of itself is no browser: `no user agent`. The list of crawlers is
    the package crawler-user-agents. Only the beginning of a user agent is looked at: a header may
    be made as long as to keep the service busy, and the cache full.
    """
    if user_agent is None:
        return None
    return _crawler_of(user_agent[:_AGENT_CHARACTERS])


@lru_cache(maxsize=4096)
def _crawler_of(user_agent: str) -> str | None:
    if not user_agent.strip():
        return "no user agent"
    for pattern in _patterns():
        if found := pattern.search(user_agent):
            return re.sub(r"[^A-Za-z0-9 _.-]", "", found[0]).strip()[:64] or "crawler"
    return None


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(entry["pattern"]) for entry in CRAWLER_USER_AGENTS_DATA)


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="events"'})
