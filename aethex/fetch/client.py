"""Asking: one client for bytes, JSON and files, each within its limits.

What belongs here: requests, and the limits of time. What does not: which addresses may be asked
(`addresses`), and which answers are taken (`answers`).

An answer is taken as it is sent: a compressed one was not asked for and is refused, so that a small
answer cannot become a large one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from aethex.fetch.addresses import Policy, Resolve, parsed_url, system_resolve
from aethex.fetch.answers import REDIRECTS, Answer, check_answer, check_type, limited, redirected
from aethex.fetch.connecting import CheckedBackend, Deadline
from aethex.fetch.errors import FetchFailed, shown
from aethex.fetch.parts import OnBytes, Part
from aethex.settings import Settings

_MOST_REDIRECTS = 5
_USER_AGENT = "aethex"


@dataclass(frozen=True)
class Limits:
    """How long an answer may take, in seconds."""

    connect_seconds: float = 10.0
    idle_seconds: float = 30.0
    """Without a byte."""
    total_seconds: float = 6 * 3600.0
    """From the first redirect to the last byte."""


@dataclass(frozen=True)
class Fetched:
    """A whole answer. `url` is where it came from in the end; names of headers are lower case."""

    url: str
    body: bytes
    content_type: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """Raises FetchFailed when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise FetchFailed(f"{shown(self.url)} answered no JSON ({error}).") from None


@dataclass(frozen=True)
class Downloaded:
    """A file that was fetched whole."""

    path: Path
    bytes: int
    sha256: str
    content_type: str
    resumed_bytes: int
    """How many of its bytes were there from an attempt before."""


class Fetcher:
    """Asks addresses from outside. Threads may share it; connections are kept between requests."""

    def __init__(
        self,
        settings: Settings,
        *,
        limits: Limits | None = None,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._settings = settings
        self._limits = limits or Limits()
        self._resolve = resolve
        self._deadline = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=32,
            keepalive_expiry=15.0,
            network_backend=CheckedBackend(Policy(settings.fetch_allow), resolve, self._deadline),
        )

    def get(
        self,
        url: str,
        *,
        max_bytes: int,
        content_types: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """The whole answer to a GET, of at most `max_bytes`.

        `content_types`: those that are taken (`video/` means all of them). Raises FetchRefused,
        FetchTooLarge or FetchFailed.
        """
        return self.request("GET", url, max_bytes=max_bytes, types=content_types, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        *,
        max_bytes: int,
        types: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Fetched:
        """As `get`, by another method. Only a GET follows redirects."""
        with self._open(method, url, headers or {}, content) as answer:
            check_type(answer, types)
            body = b"".join(limited(answer, max_bytes))
            return Fetched(answer.url, body, answer.content_type, answer.headers)

    def download(
        self,
        url: str,
        path: Path,
        *,
        max_bytes: int,
        content_types: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        on_bytes: OnBytes = lambda _done, _all: None,
    ) -> Downloaded:
        """Fetch a file. It is at `path` when it is whole; until then, what has come is beside it.

        A download that was broken off goes on where it stopped, as far as the server says that the
        file still is the same; else it begins anew. Raises FetchRefused, FetchTooLarge, FetchFailed
        or OSError.
        """
        part = Part(path)
        wanted = {**(headers or {}), **part.rest_headers()}
        try:
            with self._open("GET", url, wanted, None) as answer:
                check_type(answer, content_types)
                done = part.take(answer, max_bytes, on_bytes)
        except FetchFailed as error:
            if error.status == 416:  # what is there is not the beginning of it
                part.drop()
            raise
        part.complete()
        return Downloaded(path, done.bytes, done.sha256, answer.content_type, done.resumed_bytes)

    def close(self) -> None:
        """Close what is still connected."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- parts --------------------------------------------------------------------------------

    @contextmanager
    def _open(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Generator[Answer]:
        """The first answer that is no redirect, if it is a good one."""
        self._deadline.at = time.monotonic() + self._limits.total_seconds
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                with self._ask(method, url, headers, content) as answer:
                    if method == "GET" and answer.status in REDIRECTS:
                        url, headers = redirected(answer, headers)
                        continue
                    check_answer(answer)
                    yield answer
                    return
            raise FetchFailed(f"{shown(url)}: more than {_MOST_REDIRECTS} redirects.")
        finally:
            self._deadline.at = float("inf")

    @contextmanager
    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Generator[Answer]:
        parsed = parsed_url(url)
        wait = {
            "connect": self._limits.connect_seconds,
            "read": self._limits.idle_seconds,
            "write": self._limits.idle_seconds,
            "pool": self._limits.total_seconds,
        }
        sent: dict[bytes | str, bytes | str] = {
            "Host": parsed.netloc.decode("ascii"),
            "User-Agent": _USER_AGENT,
            "Accept-Encoding": "identity",
            **headers,
        }
        target = httpcore.URL(
            scheme=parsed.raw_scheme,
            host=parsed.raw_host,
            port=parsed.port,
            target=parsed.raw_path,
        )
        try:
            with self._pool.stream(
                method, target, headers=sent, content=content, extensions={"timeout": wait}
            ) as response:
                named = {
                    k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers
                }
                yield Answer(url, response.status, named, response.iter_stream())
        except httpcore.TimeoutException as error:
            raise FetchFailed(f"{shown(url)} did not answer in time ({_reason(error)}).") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise FetchFailed(f"{shown(url)} broke off ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
