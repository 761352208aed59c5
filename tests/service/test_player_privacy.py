"""player.js in a real browser: who a viewer is, to whom, and when nobody may know."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

from tests.browser import profile
from tests.service.watching import (
    PlayerSite,
    Row,
    Sent,
    act,
    eventually,
    hurry,
    landed_with,
    pass_time,
    show_vod,
    types_of,
    until,
    video_page,
)

pytestmark = pytest.mark.browser

EVENTS = "**/api/events*"
WISHES = {
    "DNT": "Object.defineProperty(navigator, 'doNotTrack', {value: '1'})",
    "Sec-GPC": "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})",
}


def landed(page: Page, site: PlayerSite, vod_id: str, kind: str = "playback") -> list[Row]:
    """A VOD's events, when there are any."""
    hurry(page)
    eventually(page, lambda: site.landed(vod_id, kind), f"{kind} of {vod_id}")
    return site.landed(vod_id, kind)


def play(page: Page) -> None:
    act(page, "v.play()")
    until(page, "v.currentTime > 0.2")


# --- in pages of our own --------------------------------------------------------------------------


def test_a_viewer_is_in_a_cookie_that_scripts_cannot_read(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    sent = Sent(context)
    viewers = set()
    for n in range(2):
        vod_id = player_site.new_vod()
        show_vod(page, player_site, vod_id)
        assert n or sent.viewer_requests == 0  # nobody is asked for before something is played
        play(page)
        viewers |= {row["viewer_id"] for row in landed(page, player_site, vod_id)}
        assert sent.viewer_requests == n + 1
    assert len(viewers) == 1
    [cookie] = context.cookies()
    assert (cookie.get("name"), cookie.get("httpOnly")) == ("aethex_viewer", True)
    assert page.evaluate("document.cookie") == ""


def test_pages_that_a_new_viewer_opens_together_are_one_viewers(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    def slow(route: Route) -> None:
        time.sleep(0.2)
        route.continue_()

    other = context.new_page()
    context.route("**/api/viewer*", slow)
    vod_ids = player_site.new_vod(), player_site.new_vod()
    for one, vod_id in zip((page, other), vod_ids, strict=True):
        show_vod(one, player_site, vod_id)
    for one in (page, other):
        one.evaluate("void document.querySelector('video').play()")
    rows = [row for vod_id in vod_ids for row in landed(page, player_site, vod_id)]
    assert len({row["viewer_id"] for row in rows}) == 1


@pytest.mark.parametrize("header", WISHES)
def test_who_wishes_not_to_be_tracked_is_nobody_and_keeps_nothing(
    browser: Browser, player_site: PlayerSite, header: str
) -> None:
    vod_id = player_site.new_vod()
    with browser.new_context(extra_http_headers={header: "1"}) as context:
        page = context.new_page()
        sent = Sent(context)
        # what was there before the viewer wished so is taken out
        page.goto(f"{player_site.url}/healthz")
        page.evaluate("localStorage.setItem('aethex-player:viewer', 'before')")
        page.evaluate("localStorage.setItem('of others', 'stays')")
        context.add_init_script(WISHES[header])
        show_vod(page, player_site, vod_id)
        page.route(EVENTS, lambda route: route.abort(), times=1)  # what waits is in memory alone
        play(page)
        hurry(page)
        eventually(page, lambda: len(sent) == 1)
        assert page.evaluate("Object.keys(localStorage)") == ["of others"]
        rows = landed(page, player_site, vod_id)
        page.goto("about:blank")
        rows = landed_with(page, player_site, vod_id, "hide")
        assert types_of(rows) == ["start", "hide"]
        assert {row["viewer_id"] for row in rows} == {None}
        assert sent.viewer_requests == 0
        assert context.cookies() == []


def test_a_wish_not_to_be_tracked_holds_for_who_had_a_cookie(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    """Even where only scripts are told of it, and no header says it."""
    known, unknown = player_site.new_vod(), player_site.new_vod()
    show_vod(page, player_site, known)
    play(page)
    assert landed(page, player_site, known)[0]["viewer_id"] is not None
    page = context.new_page()
    page.add_init_script(WISHES["Sec-GPC"])
    show_vod(page, player_site, unknown)
    play(page)
    assert landed(page, player_site, unknown)[0]["viewer_id"] is None
    page.goto("about:blank")  # a beacon would have had the cookie
    rows = landed_with(page, player_site, unknown, "hide")
    assert {row["viewer_id"] for row in rows} == {None}


def test_who_leaves_at_once_is_known_too(page: Page, player_site: PlayerSite) -> None:
    """Before the first events went out, with whose answer a cookie could have come."""
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)  # nothing is sent by a timer
    with page.expect_response("**/api/viewer*") as answer:
        act(page, "v.play()")
    answer.value.finished()
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide")
    assert types_of(rows) == ["start", "hide"]
    assert {row["viewer_id"] is None for row in rows} == {False}


# --- embeds ---------------------------------------------------------------------------------------


def show_embed(page: Page, site: PlayerSite, url: str, vod_id: str) -> None:
    """An embed on another site."""
    html = video_page(site, f'data-aethex-vod="{vod_id}" data-aethex-embed')
    site.elsewhere.pages["/embed"] = html
    page.goto(f"{url}/embed")
    until(page, "v.readyState === 4")


def kept(page: Page) -> str | None:
    return page.evaluate("localStorage.getItem('aethex-player:viewer')")


def test_an_embed_has_a_viewer_of_its_own(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    ours, embedded, again = (player_site.new_vod() for _ in range(3))
    show_vod(page, player_site, ours)  # which gives the browser the cookie; ports share it
    play(page)
    [first] = {row["viewer_id"] for row in landed(page, player_site, ours)}
    sent = Sent(context)
    requests: list[Request] = []
    context.on("request", lambda one: requests.append(one) if "/api/" in one.url else None)
    show_embed(page, player_site, player_site.elsewhere.url, embedded)
    play(page)
    [second] = {row["viewer_id"] for row in landed(page, player_site, embedded)}
    assert second not in (first, None)
    signed = kept(page)
    assert signed is not None
    assert signed.startswith(f"{second}.")
    show_embed(page, player_site, player_site.elsewhere.url, again)
    play(page)
    assert {row["viewer_id"] for row in landed(page, player_site, again)} == {second}
    assert kept(page) == signed
    assert sent.viewer_requests == 2
    assert len(requests) >= 4
    assert all("cookie" not in one.all_headers() for one in requests)
    assert [cookie.get("name") for cookie in context.cookies()] == ["aethex_viewer"]


def test_an_embed_whose_id_is_not_good_gets_another(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    player_site.elsewhere.pages["/empty"] = "<!doctype html>"
    page.goto(f"{player_site.elsewhere.url}/empty")
    page.evaluate("localStorage.setItem('aethex-player:viewer', 'vw_forged.signature')")
    show_embed(page, player_site, player_site.elsewhere.url, vod_id)
    play(page)
    [viewer] = {row["viewer_id"] for row in landed(page, player_site, vod_id)}
    assert viewer is not None
    assert str(kept(page)).startswith(f"{viewer}.")


def test_an_embed_without_storage_keeps_its_id_in_memory(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})"
    )
    sent = Sent(page)
    show_embed(page, player_site, player_site.elsewhere.url, vod_id)
    play(page)
    landed(page, player_site, vod_id)
    act(page, "v.pause()")
    rows = landed_with(page, player_site, vod_id, "pause")
    [viewer] = {row["viewer_id"] for row in rows}
    assert viewer is not None
    assert sent.viewer_requests == 1


def framed_viewers(page: Page, site: PlayerSite, framing: list[str]) -> list[str]:
    """Who watches an embed that these sites frame, one after the other."""
    pages, viewers = site.elsewhere.pages, []
    pages["/framing"] = (
        f'<!doctype html><iframe src="{site.elsewhere.url}/embed" allow="autoplay"></iframe>'
    )
    for url in framing:
        vod_id = site.new_vod()
        pages["/embed"] = video_page(site, f'data-aethex-vod="{vod_id}" data-aethex-embed')
        page.goto(f"{url}/framing")
        embed = page.frames[1]
        embed.wait_for_function("document.querySelector('video').readyState === 4")
        embed.evaluate("document.querySelector('video').play()")
        hurry(embed)
        viewers.append(str(landed(page, site, vod_id)[0]["viewer_id"]))
    return viewers


def test_a_viewer_of_an_embed_is_another_on_each_site_that_frames_it(
    browser: Browser, player_site: PlayerSite, tmp_path: Path
) -> None:
    one, other = player_site.elsewhere.url, player_site.elsewhere.other_url
    with profile(browser, tmp_path) as context:
        viewers = framed_viewers(context.pages[0], player_site, [one, other, other, one])
        assert context.cookies() == []
    assert all(viewer.startswith("vw_") for viewer in viewers)
    assert viewers[0] == viewers[3] != viewers[1] == viewers[2]


def test_a_browser_that_denies_embeds_their_storage_is_a_new_viewer_each_time(
    page: Page, player_site: PlayerSite
) -> None:
    other = player_site.elsewhere.other_url
    viewers = framed_viewers(page, player_site, [other, other])
    assert all(viewer.startswith("vw_") for viewer in viewers)
    assert viewers[0] != viewers[1]


def test_an_embed_on_another_origin_is_told_when_to_come_back(
    page: Page, player_site: PlayerSite
) -> None:
    """A browser shows scripts of other origins only the headers that the service lets them see."""
    vod_id = player_site.new_vod()
    sent = Sent(page)

    def refuse(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, status=429, headers={**answer.headers, "Retry-After": "300"})

    page.clock.install()
    show_embed(page, player_site, player_site.elsewhere.url, vod_id)
    page.route(EVENTS, refuse, times=1)
    play(page)
    pass_time(page, sent, lambda: len(sent) == 1)
    pass_time(page, sent, lambda: len(sent) == 2, 10_000)
    assert sent.clocks[1] - sent.clocks[0] >= 300


# --- visits and shares ----------------------------------------------------------------------------


def test_a_vods_page_tells_the_visit_and_the_share(
    context: BrowserContext, page: Page, player_site: PlayerSite
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    before = len(player_site.landed(player_site.vod_id, "engagement"))
    page.goto(f"{player_site.vod_url}?ref=clip-7.a_B&t=3")
    until(page, "v.readyState === 4")
    page.get_by_role("button", name="Copy link").click()

    def new_rows() -> list[Row]:
        return player_site.landed(player_site.vod_id, "engagement")[before:]

    eventually(page, lambda: "Copied" in page.get_by_role("main").inner_text())
    hurry(page)
    eventually(page, lambda: len(new_rows()) >= 2)
    told = {
        (row["action"], row.get("page"), row.get("ref"), row.get("network")) for row in new_rows()
    }
    assert told == {("page_visit", "vod", "clip-7.a_B", None), ("share", None, None, "link")}
    assert {row["channel_id"] for row in new_rows()} == {player_site.channel_id}
    assert len({row["viewer_id"] for row in new_rows()} - {None}) == 1


def test_a_channels_page_tells_the_visit(page: Page, player_site: PlayerSite) -> None:
    """Without a `ref` that is none."""
    for ref in ("", "?ref=", "?ref=a%20b", f"?ref={'x' * 65}"):
        with page.expect_response(EVENTS) as answer:
            page.goto(f"{player_site.url}/channel/gdq/vods{ref}")
            hurry(page)
        [visit] = json.loads(answer.value.request.post_data or "")
        assert {key: visit[key] for key in visit.keys() - {"event_id", "client_at"}} == {
            "kind": "engagement",
            "action": "page_visit",
            "page": "channel",
            "channel_id": player_site.channel_id,
        }
        assert answer.value.json()["accepted"] == 1


def test_home_names_no_channel_and_tells_nothing(page: Page, player_site: PlayerSite) -> None:
    page.goto(player_site.url)
    assert page.evaluate("typeof window.aethex") == "undefined"
