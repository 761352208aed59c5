"""player.js in a real browser: no event is lost on the way, and none counts twice."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise

import pytest
from playwright.sync_api import BrowserContext, Page, Response, Route

from tests.service.watching import (
    PlayerSite,
    Sent,
    act,
    await_empty_queue,
    copies,
    eventually,
    hurry,
    ids_of,
    pass_time,
    queued,
    show_vod,
    types_of,
    until,
)

pytestmark = pytest.mark.browser

BEAT_MS = 15_000
EVENTS = "**/api/events*"


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
    pass_time(page, sent, lambda: len(player_site.landed(vod_id)) >= 2)
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
        pass_time(page, sent, lambda: len(sent) == 1)
    refusal.value.finished()
    act(page, "document.querySelectorAll('video')[1].play()")
    hurry(page)  # the network was not what was missing
    page.evaluate("dispatchEvent(new Event('pagehide'))")  # the next page would send what is left
    pass_time(
        page, sent, lambda: player_site.landed(vod_id) and player_site.landed(other_id), 5_000
    )
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
