"""Watching videos in a real browser with player.js, and reading back what landed.

What belongs here: pages that play, doing things with their video, and what landed events say of it.
What does not: fixtures (`conftest.py`), and what has to be true.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Request, Route

from aethex.library import Library
from aethex.service import media_tokens
from aethex.settings import Settings
from aethex.store import Store
from tests.service.content import add_vod
from tests.service.sending import landed_in

Row = dict[str, Any]
"""A landed event: its common columns and its payload in one."""

STORED = "Object.keys(localStorage).filter(key => key.startsWith('aethex-player:own:'))"
"""The keys of queues in a page's storage."""

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Elsewhere:
    """Pages of other sites: `url` on one host, `other_url` on another. Both show `pages`."""

    url: str
    other_url: str
    pages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlayerSite:
    """A running service with one real VOD. mp4: the address of its video."""

    url: str
    vod_id: str
    channel_id: str
    mp4: str
    store: Store
    library: Library
    elsewhere: Elsewhere
    settings: Settings
    read: dict[str, list[Row]] = field(default_factory=dict)
    """What landing objects hold, by their keys: they never change, and tests look often."""

    @property
    def vod_url(self) -> str:
        return f"{self.url}/vods/{self.vod_id}"

    def new_vod(self) -> str:
        """The id of a VOD that no other test watches. Its own objects play nothing."""
        return add_vod(self.library, self.store, title="Only for one test").id

    def landed(self, vod_id: str, kind: str = "playback") -> list[Row]:
        """What landed of a VOD, by session and sequence, copies too."""
        for info in self.store.list("landing"):
            if info.key not in self.read:
                self.read[info.key] = landed_in(self.store, info.key)
        rows = [
            {**row, **row["payload"]}
            for part in self.read.values()
            for row in part
            if row["vod_id"] == vod_id and row["kind"] == kind
        ]
        return sorted(rows, key=lambda row: (row["session_id"] or "", row.get("sequence", 0)))


def video_page(site: PlayerSite, attributes: str, extra: str = "", source: str = "") -> str:
    """A page as anybody makes one: a video, and player.js from the service."""
    return (
        "<!doctype html><title>A page</title>"
        f'<video muted playsinline preload="auto" src="{source or site.mp4}" {attributes}></video>'
        f'{extra}<script src="{site.url}/player.js" defer></script>'
    )


def show(page: Page, site: PlayerSite, html: str) -> None:
    """Open a page of the service's own origin with this content; its video can play then."""
    page.context.route(
        f"{site.url}/watch", lambda route: route.fulfill(body=html, content_type="text/html")
    )
    page.goto(f"{site.url}/watch")
    until(page, "v.readyState === 4")


def show_vod(page: Page, site: PlayerSite, vod_id: str, extra: str = "") -> None:
    """Such a page with one video of this VOD."""
    show(page, site, video_page(site, f'data-aethex-vod="{vod_id}"', extra))


def act(page: Page, action: str, *, before: bool = False) -> tuple[float, float]:
    """Do something with the first video, `v`. Returns the page's clock in seconds and the playhead,
    right after it or right before it."""
    mark = "const mark = [performance.now() / 1000, v.currentTime];"
    steps = f"{mark} {action};" if before else f"{action}; {mark}"
    now, position = page.evaluate(
        f"(() => {{ const v = document.querySelector('video'); {steps} return mark; }})()"
    )
    return now, position


def hear(page: Page, *events: str) -> None:
    """Have the page note its clock and the playhead whenever the first video tells one of these.

    A busy browser tells some time after it was asked to do something, and plays on meanwhile.
    """
    page.evaluate(
        "events => { const v = document.querySelector('video'); window.heard = []; const note ="
        " () => heard.push([performance.now() / 1000, v.currentTime]);"
        " for (const name of events) v.addEventListener(name, note); }",
        list(events),
    )


def heard(page: Page) -> list[tuple[float, float]]:
    """The page's clock in seconds and the playhead at each, in order."""
    return [(now, position) for now, position in page.evaluate("heard")]


def until(page: Page, condition: str) -> None:
    """Until it holds, with the first video as `v`. (Our pages forbid what playwright's own wait
    needs.)"""
    asked = f"(() => {{ const v = document.querySelector('video'); return {condition}; }})()"
    eventually(page, lambda: page.evaluate(asked), condition)


def eventually(page: Page, is_true: Callable[[], Any], what: str = "") -> None:
    """Until it is true; the browser goes on meanwhile."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < give_up_at, f"never came true: {what}"
        page.wait_for_timeout(20)


def grow_old_at(page: Page, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a day pass when the page asks for this; only the service's media addresses tell."""
    later_seconds = 0

    def grow_old(route: Route) -> None:
        nonlocal later_seconds
        later_seconds = 24 * 3600
        route.continue_()

    clock = SimpleNamespace(time=lambda: time.time() + later_seconds)
    monkeypatch.setattr(media_tokens, "time", clock)
    page.route(address, grow_old, times=1)


def hurry(page: Page | Frame) -> None:
    """Have the page send what it has gathered, as when the network is back."""
    page.evaluate("dispatchEvent(new Event('online'))")


def landed_with(page: Page, site: PlayerSite, vod_id: str, type_: str, count: int = 1) -> list[Row]:
    """A VOD's events, each once, when so many of this type have landed. The page does not wait for
    more to gather.
    """

    def rows() -> list[Row]:
        return once(site.landed(vod_id))

    hurry(page)
    eventually(page, lambda: types_of(rows()).count(type_) >= count, f"{type_} of {vod_id}")
    return rows()


def pass_time(page: Page, sent: Sent, is_true: Callable[[], Any], step_ms: int = 1_000) -> None:
    """Until it is true; the page's clock goes on by this much each time that it is not yet.

    But not while a request waits for its answer: its patience is told by the page's clock, too.
    """

    def is_true_later() -> bool:
        if is_true():
            return True
        if not sent.waiting:
            page.clock.fast_forward(step_ms)
        return False

    eventually(page, is_true_later)


def types_of(rows: list[Row]) -> list[str]:
    return [row["type"] for row in rows]


def ids_of(events: list[Row]) -> list[str]:
    return [event["event_id"] for event in events]


def once(rows: list[Row]) -> list[Row]:
    """Each event once, as they are published: of copies the one that was received first."""
    first: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["received_at"]):
        first.setdefault(row["event_id"], row)
    return [row for row in rows if first[row["event_id"]] is row]


def sessions(rows: list[Row]) -> list[list[Row]]:
    """The rows of each session, in the order in which the sessions began."""
    of_session: dict[str, list[Row]] = {}
    for row in rows:
        of_session.setdefault(row["session_id"], []).append(row)
    return sorted(of_session.values(), key=lambda one: one[0]["client_at"])


def watched_seconds(rows: list[Row]) -> float:
    """What one session's events say was watched: how far the playhead came from each to the next,
    never more than the time between them. Up to a seek it came to where the seek began.
    """
    total_ms = 0.0
    for one, following in pairwise(rows):
        until_ms = following.get("from_position_ms", following["position_ms"])
        advance_ms = max(0, until_ms - one["position_ms"])
        total_ms += min(advance_ms, following["elapsed_ms"] - one["elapsed_ms"])
    return total_ms / 1000


class Sent(list[list[Row]]):
    """The batches that pages sent, in order; `clocks` has the page's clock at each, in seconds.

    waiting: the requests that have no answer yet.
    """

    def __init__(self, sender: BrowserContext | Page) -> None:
        super().__init__()
        self.clocks: list[float] = []
        self.viewer_requests = 0
        self.waiting: set[Request] = set()
        sender.on("request", self._hear)
        sender.on("requestfinished", self._answered)
        sender.on("requestfailed", self._answered)

    def _hear(self, request: Request) -> None:
        if "/api/" in request.url:
            self.waiting.add(request)
        if "/api/viewer" in request.url and request.method == "POST":
            self.viewer_requests += 1
        if "/api/events" in request.url and request.method == "POST":
            self.append(json.loads(request.post_data or "[]"))
            query = parse_qs(urlsplit(request.url).query)
            self.clocks.append(int(query["sent_at"][0]) / 1000)

    def _answered(self, request: Request) -> None:
        self.waiting.discard(request)

    @property
    def ids(self) -> list[str]:
        return [one for batch in self for one in ids_of(batch)]


@contextmanager
def pages_elsewhere() -> Iterator[Elsewhere]:
    """A web server of its own, which two names lead to."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path.partition("?")[0], "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_port
            yield Elsewhere(f"http://127.0.0.1:{port}", f"http://localhost:{port}", pages)
        finally:
            server.shutdown()


def queued(page: Page) -> list[Row]:
    """The events that wait in the page's storage."""
    texts = page.evaluate(f"{STORED}.map(key => localStorage.getItem(key))")
    return [event for text in texts for event in json.loads(text)["events"]]


def await_empty_queue(page: Page) -> None:
    eventually(page, lambda: page.evaluate(f"{STORED}.length") == 0, "an empty queue")


def copies(rows: list[Row]) -> int:
    """How many rows landed more than once."""
    return len(rows) - len({row["event_id"] for row in rows})
