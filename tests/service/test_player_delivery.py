"""player.js in a real browser: no event is lost on the way, and none counts twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Response, Route

from tests.browser import profile
from tests.service.sending import iso
from tests.service.watching import (
    PlayerSite,
    Row,
    Sent,
    act,
    eventually,
    hurry,
    ids_of,
    once,
    pass_time,
    show_vod,
    types_of,
    until,
    video_page,
)

pytestmark = pytest.mark.browser

BEAT_MS = 15_000
EVENTS = "**/api/events*"
STORED = "Object.keys(localStorage).filter(key => key.startsWith('aethex-player:own:'))"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def queued(page: Page) -> list[Row]:
    """The events that wait in the page's storage."""
    texts = page.evaluate(f"{STORED}.map(key => localStorage.getItem(key))")
    return [event for text in texts for event in json.loads(text)["events"]]


def await_empty_queue(page: Page) -> None:
    eventually(page, lambda: page.evaluate(f"{STORED}.length") == 0, "an empty queue")


def locks_held(page: Page) -> list[str]:
    """The names of the locks that the site's pages hold."""
    return page.evaluate(
        "navigator.locks.query().then((locks) => locks.held.map((lock) => lock.name))"
    )


def crash(page: Page) -> None:
    """End the page's process as a system without memory does: it gets to say nothing."""
    with page.expect_event("crash"), suppress(Error):
        page.goto("chrome://crash")
    page.close()


def copies(rows: list[Row]) -> int:
    """How many rows landed more than once."""
    return len(rows) - len({row["event_id"] for row in rows})


def leave_behind(page: Page, site: PlayerSite, ages: list[timedelta], written: timedelta) -> str:
    """A dead page's queue in the site's storage: beats of these ages, last written to so long ago.
    Returns the beats' VOD.
    """
    vod_id, now = site.new_vod(), datetime.now(UTC)
    beats = [
        {
            "kind": "playback",
            "event_id": str(uuid4()),
            "client_at": iso(now - age),
            "vod_id": vod_id,
            "session_id": "dead",
            "type": "beat",
            "sequence": n,
            "elapsed_ms": n * BEAT_MS,
            "position_ms": n * BEAT_MS,
            "is_paused": False,
        }
        for n, age in enumerate(ages)
    ]
    page.goto(f"{site.url}/healthz")
    page.evaluate(
        "([key, text]) => localStorage.setItem(key, text)",
        [
            f"aethex-player:own:{site.url}:{uuid4()}",
            json.dumps({"at": int((now - written).timestamp() * 1000), "events": beats}),
        ],
    )
    return vod_id


def without_locks(context: BrowserContext) -> None:
    """As a browser that lacks Web Locks, or a page that came by http."""
    context.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")


def test_nothing_is_lost_or_sent_twice_while_the_network_is_away(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    sent = Sent(context)
    context.set_offline(True)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.4")
    act(page, "v.pause()")
    act(page, "v.currentTime = 7")
    until(page, "!v.seeking")
    act(page, "v.play()")
    eventually(page, lambda: len(sent) == 0 and types_of(queued(page))[-1] == "play")
    waiting = queued(page)
    assert types_of(waiting) == ["start", "pause", "seek", "play"]
    assert player_site.landed(vod_id) == []
    with page.expect_event("requestfailed"):
        hurry(page)
    context.set_offline(False)  # which browsers tell pages: they wait for no timer
    await_empty_queue(page)
    rows = player_site.landed(vod_id)
    assert ids_of(rows) == ids_of(waiting)
    assert [row["sequence"] for row in rows] == [0, 1, 2, 3]


FAILURES = [503, 500, 429, 408, "no connection", "another's page"]


def test_what_fails_is_sent_again_with_the_same_ids(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    vod_id, to_come = player_site.new_vod(), list(FAILURES)
    page.clock.install()
    show_vod(page, player_site, vod_id)
    sent = Sent(context)

    def fail(route: Route) -> None:
        failure = to_come.pop(0)
        if failure == "no connection":
            route.abort()
        elif failure == "another's page":  # as a hotel's network answers
            route.fulfill(body="<h1>Welcome</h1>", content_type="text/html")
        else:
            route.fulfill(status=int(failure))

    page.route(EVENTS, fail, times=len(to_come))
    act(page, "v.play()")
    until(page, "v.currentTime > 0.2")
    act(page, "v.pause()")
    pass_time(page, lambda: len(player_site.landed(vod_id)) >= 2)
    await_empty_queue(page)
    assert to_come == []
    assert len(sent) == len(FAILURES) + 1
    for following in sent[1:]:
        assert ids_of(following)[: len(sent[0])] == ids_of(sent[0])
    rows = player_site.landed(vod_id)
    assert types_of(rows)[:2] == ["start", "pause"]
    assert copies(rows) == 0


@pytest.mark.parametrize("is_date", [False, True], ids=["seconds", "a date"])
def test_the_service_says_when_to_come_back(
    context: BrowserContext, page: Page, player_site: PlayerSite, is_date: bool
) -> None:
    """To all videos of a page."""
    vod_id, other_id = player_site.new_vod(), player_site.new_vod()
    other = f'<video muted src="{player_site.mp4}" data-aethex-vod="{other_id}"></video>'
    page.clock.install()
    show_vod(page, player_site, vod_id, other)
    sent = Sent(context)

    def refuse(route: Route) -> None:
        back_at = datetime.fromtimestamp(sent.clocks[-1] + 301, UTC)
        answer = format_datetime(back_at, usegmt=True) if is_date else "300"
        route.fulfill(status=429, headers={"Retry-After": answer})

    page.route(EVENTS, refuse, times=1)
    with page.expect_response(EVENTS) as refusal:
        act(page, "v.play()")
        pass_time(page, lambda: len(sent) == 1)
    refusal.value.finished()
    act(page, "document.querySelectorAll('video')[1].play()")
    hurry(page)  # the network was not what was missing
    page.evaluate("dispatchEvent(new Event('pagehide'))")  # the next page would send what is left
    pass_time(page, lambda: player_site.landed(vod_id) and player_site.landed(other_id), 5_000)
    assert min(sent.clocks[1:]) - sent.clocks[0] >= 299.9
    assert ids_of(sent[0]) == [id_ for id_ in sent.ids[1:] if id_ in ids_of(sent[0])]


def test_tries_become_rare_but_never_end(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    tried_at: list[float] = []

    def refuse(route: Route) -> None:
        tried_at.append(int(route.request.url.partition("sent_at=")[2]) / 1000)
        route.fulfill(status=503)

    answered: list[Response] = []
    page.on("response", lambda one: answered.append(one) if one.status == 503 else None)
    page.route(EVENTS, refuse)
    act(page, "v.play()")
    until(page, "v.currentTime > 0")
    act(page, "v.pause()")
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    while len(tried_at) < 8:
        page.clock.run_for(1_000)
        eventually(page, lambda: len(answered) == len(tried_at))
    waits = [following - one for one, following in pairwise(tried_at)]
    slack = 3  # the test's own steps
    for wait, most in zip(waits, [2, 4, 8, 16, 32, 60, 60], strict=True):
        assert most / 2 <= wait <= most + slack
    page.unroute(EVENTS)
    hurry(page)
    eventually(page, lambda: len(player_site.landed(vod_id)) >= 2)


def test_what_the_service_refuses_for_good_is_dropped_with_one_warning(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    vod_id, to_come = player_site.new_vod(), [400, 403, 413, 422, 422]
    warnings: list[str] = []
    page.on("console", lambda said: warnings.append(said.text) if said.type == "warning" else None)
    show_vod(page, player_site, vod_id)
    sent = Sent(context)
    page.route(EVENTS, lambda route: route.fulfill(status=to_come.pop(0)), times=len(to_come))
    for n, what in enumerate(("play", "pause") * 3):
        act(page, f"v.{what}()")
        eventually(page, lambda n=n: sum(map(len, sent)) + len(queued(page)) > n)
        hurry(page)
        eventually(page, lambda n=n: len(sent) == n + 1)
        await_empty_queue(page)
    assert types_of(player_site.landed(vod_id)) == ["pause"]
    assert len(sent) == 6
    assert len(sent.ids) == len(set(sent.ids)) == 6
    assert [re.findall(r"\((\d+)\)", text) for text in warnings] == [
        ["400"],
        ["403"],
        ["413"],
        ["422"],
    ]


def test_events_that_the_service_rejected_are_decided_too(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    """Beside good ones in the same batch: half a character spoils none of them either."""
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    sent = Sent(context)
    with page.expect_response(EVENTS) as answer:
        for vod, network in (
            ("vod_nobody_knows", "discord"),
            (vod_id, "cut \\ud83d off"),
            (vod_id, "discord"),
        ):
            act(page, f"aethex.engage('share', {{vod_id: '{vod}', network: '{network}'}})")
        hurry(page)
    results = answer.value.json()["results"]
    assert [result["status"] for result in results] == ["rejected", "rejected", "accepted"]
    await_empty_queue(page)
    page.clock.fast_forward(120_000)
    hurry(page)
    assert len(player_site.landed(vod_id, "engagement")) == 1
    act(page, f"aethex.engage('share', {{vod_id: '{vod_id}'}})")
    hurry(page)
    eventually(page, lambda: len(player_site.landed(vod_id, "engagement")) == 2)
    assert [len(batch) for batch in sent] == [3, 1]


# --- dead pages -----------------------------------------------------------------------------------


def test_what_a_killed_page_had_queued_is_sent_by_the_next_one(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    context.set_offline(True)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.4")
    act(page, "v.pause()")
    eventually(page, lambda: types_of(queued(page)) == ["start", "pause"])
    waiting = queued(page)
    crash(page)
    context.set_offline(False)
    again = context.new_page()
    show_vod(again, player_site, vod_id)
    await_empty_queue(again)
    rows = player_site.landed(vod_id)
    assert ids_of(rows) == ids_of(waiting)
    assert [(row["sequence"], row["position_ms"]) for row in rows] == [
        (event["sequence"], event["position_ms"]) for event in waiting
    ]


def test_of_pages_that_open_together_one_adopts(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    vod_id = leave_behind(page, player_site, [timedelta()] * 250, timedelta())
    sent = Sent(context)
    pages = [context.new_page() for _ in range(3)]
    html = video_page(player_site, "")
    context.route(
        f"{player_site.url}/many", lambda route: route.fulfill(body=html, content_type="text/html")
    )
    for one in pages:
        one.evaluate(f"setTimeout(() => {{ location = '{player_site.url}/many'; }}, 100)")
    eventually(page, lambda: len(player_site.landed(vod_id)) >= 250)
    await_empty_queue(page)
    assert len(sent.ids) == len(set(sent.ids)) == 250
    assert [len(batch) for batch in sent] == [100, 100, 50]
    assert copies(player_site.landed(vod_id)) == 0


@pytest.mark.parametrize("has_locks", [True, False], ids=["locks", "no locks"])
def test_a_page_leaves_the_queue_of_another_that_lives(
    context: BrowserContext, page: Page, player_site: PlayerSite, has_locks: bool
) -> None:
    if not has_locks:
        without_locks(context)
    vod_id, other_id = player_site.new_vod(), player_site.new_vod()
    show_vod(page, player_site, vod_id)
    page.route(EVENTS, lambda route: route.fulfill(status=503))
    act(page, "v.play()")
    eventually(page, lambda: len(queued(page)) == 1)
    other = context.new_page()
    sent = Sent(other)
    show_vod(other, player_site, other_id)
    act(other, "v.play()")
    hurry(other)
    eventually(other, lambda: player_site.landed(other_id))
    assert player_site.landed(vod_id) == []
    page.unroute(EVENTS)
    hurry(page)
    eventually(page, lambda: player_site.landed(vod_id))
    await_empty_queue(page)
    assert copies(player_site.landed(vod_id)) + copies(player_site.landed(other_id)) == 0
    assert {event["vod_id"] for event in sent[0]} == {other_id}


def test_a_page_that_the_browser_kept_goes_on_in_its_session(
    browser: Browser, player_site: PlayerSite, tmp_path: Path
) -> None:
    """Kept for going back, it holds no lock, which would keep it from being kept."""
    vod_id = player_site.new_vod()
    with profile(browser, tmp_path) as context:
        page = context.pages[0]
        show_vod(page, player_site, vod_id)
        page.evaluate("addEventListener('pageshow', (event) => { window.kept = event.persisted; })")
        act(page, "v.play()")
        until(page, "v.currentTime > 0.2")
        [held] = locks_held(page)
        page.goto(f"{player_site.url}/healthz")
        assert locks_held(page) == []
        page.go_back(wait_until="commit")
        until(page, "window.kept === true && !v.paused")
        eventually(page, lambda: locks_held(page) == [held])
        act(page, "v.pause()")
        hurry(page)
        await_empty_queue(page)
    rows = once(player_site.landed(vod_id))
    assert types_of(rows)[:2] == ["start", "hide"]
    assert rows[-1]["type"] == "pause"
    assert [row["sequence"] for row in rows] == list(range(len(rows)))
    assert len({row["session_id"] for row in rows}) == 1


def test_without_locks_a_queue_is_adopted_when_nobody_wrote_to_it_for_long(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    without_locks(context)
    dead = leave_behind(page, player_site, [timedelta(minutes=5)], timedelta(minutes=4))
    silent = leave_behind(page, player_site, [timedelta(minutes=1)], timedelta(minutes=1))
    page.clock.install()
    show_vod(page, player_site, player_site.new_vod())
    eventually(page, lambda: player_site.landed(dead))
    assert player_site.landed(silent) == []
    page.clock.fast_forward(180_000)
    eventually(page, lambda: player_site.landed(silent))
    await_empty_queue(page)


def test_what_is_older_than_six_days_is_thrown_away(page: Page, player_site: PlayerSite) -> None:
    week, day = timedelta(days=6, minutes=1), timedelta(days=5, hours=23)
    gone = leave_behind(page, player_site, [week], timedelta(days=1))
    some = leave_behind(page, player_site, [week, day, timedelta()], timedelta(days=1))
    show_vod(page, player_site, player_site.new_vod())
    await_empty_queue(page)
    assert player_site.landed(gone) == []
    assert [row["sequence"] for row in player_site.landed(some)] == [1, 2]


def test_a_full_queue_spares_what_says_most(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    page.route(EVENTS, lambda route: route.abort())
    act(page, "v.play()")
    until(page, "v.currentTime > 0.3")
    act(page, "v.currentTime = 3; v.pause()")
    until(page, "!v.seeking")
    page.clock.run_for(BEAT_MS * 700)
    waiting = queued(page)
    assert 400 < len(waiting) <= 500
    stored = page.evaluate(f"{STORED}.map(key => localStorage.getItem(key).length)")
    assert sum(stored) < 201_000
    assert types_of(waiting)[:3] == ["start", "seek", "pause"]
    assert set(types_of(waiting)[3:]) == {"beat"}
    assert waiting[-1]["sequence"] >= 702  # the newest are there
    page.unroute(EVENTS)
    sent = Sent(context)
    hurry(page)
    await_empty_queue(page)
    assert max(len(batch) for batch in sent) == 100
    rows = player_site.landed(vod_id)
    assert ids_of(rows)[: len(waiting)] == ids_of(waiting)
    assert copies(rows) == 0
