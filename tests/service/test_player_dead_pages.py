"""player.js in a real browser: what a page left behind is sent by the next one, once."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.browser import profile
from tests.service.sending import iso
from tests.service.watching import (
    STORED,
    PlayerSite,
    Sent,
    act,
    await_empty_queue,
    copies,
    eventually,
    hurry,
    ids_of,
    once,
    queued,
    show_vod,
    types_of,
    until,
    video_page,
)

pytestmark = pytest.mark.browser

BEAT_MS = 15_000
EVENTS = "**/api/events*"


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
