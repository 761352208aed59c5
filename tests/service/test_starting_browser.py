"""Where and how fast a video plays in a real browser when its loading does not go as it should."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Route, expect

from aethex.library import Vod, watching
from tests.service.people import person
from tests.service.watching import PlayerSite, grow_old_at, until

pytestmark = pytest.mark.browser

AT = 12


def open_at(page: Page, site: PlayerSite) -> None:
    page.goto(f"{site.vod_url}?t={AT}")


def plays_from(page: Page, second: float) -> None:
    until(page, f"!v.paused && v.currentTime > {second} && v.currentTime < {second + 5}")


def test_after_a_failure_before_the_first_picture_it_still_starts_where_it_should(
    page: Page, player_site: PlayerSite
) -> None:
    page.route("**/index.m3u8", lambda route: route.fulfill(status=404))
    open_at(page, player_site)
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    plays_from(page, AT)


def test_the_mp4_in_place_of_broken_segments_starts_where_it_should(
    page: Page, player_site: PlayerSite
) -> None:
    page.route("**/*.m4s", lambda route: route.fulfill(body=b"no video", content_type="video/mp4"))
    open_at(page, player_site)
    page.locator(".big-play").click()
    until(page, "v.currentSrc.endsWith('video.mp4')")
    plays_from(page, AT)


def test_a_file_whose_address_was_over_starts_where_it_should(
    page: Page, player_site: PlayerSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.route("**/hls.min.js", lambda route: route.abort())
    grow_old_at(page, "**/video.mp4", monkeypatch)
    open_at(page, player_site)
    until(page, f"v.readyState >= 1 && Math.abs(v.currentTime - {AT}) < 0.1")


def test_from_the_beginning_means_it_also_while_nothing_is_loaded_yet(
    page: Page, player_site: PlayerSite
) -> None:
    now = datetime.now(UTC)
    mika = person(player_site.library, player_site.settings, "mika")
    with player_site.library.session() as s:
        watching.save(s, mika.id, s.get_one(Vod, player_site.vod_id), AT * 1000, now, now)
    name, _, secret = mika.cookie.partition("=")
    page.context.add_cookies([{"name": name, "value": secret, "url": player_site.url}])
    held: list[Route] = []
    page.route("**/index.m3u8", lambda route: held.append(route), times=1)
    page.goto(player_site.vod_url)
    page.get_by_role("button", name="Start from the beginning").click()
    for route in held:
        route.continue_()
    plays_from(page, 0)


def test_the_speed_that_was_chosen_outlasts_a_failure(page: Page, player_site: PlayerSite) -> None:
    page.route("**/index.m3u8", lambda route: route.fulfill(status=404))
    page.goto(player_site.vod_url)
    expect(page.get_by_role("alert")).to_be_visible()
    page.keyboard.press(">")
    page.keyboard.press(">")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    plays_from(page, 0)
    assert page.evaluate("document.querySelector('video').playbackRate") == 1.5


def test_a_download_from_a_page_that_outlived_its_addresses_comes_from_a_new_one(
    page: Page, player_site: PlayerSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto(player_site.vod_url)
    until(page, "v.readyState >= 2")
    grow_old_at(page, f"**/api/vods/{player_site.vod_id}", monkeypatch)
    with page.expect_download() as found:
        page.locator(".watch-actions").get_by_role("link", name="Download").click()
    assert found.value.failure() is None
    assert page.url == player_site.vod_url


def test_space_on_the_captions_button_is_the_buttons_own(
    page: Page, player_site: PlayerSite
) -> None:
    page.goto(player_site.vod_url)
    until(page, "v.readyState >= 2")
    page.evaluate("document.querySelector('video').addTextTrack('captions', 'English', 'en')")
    page.locator("media-captions-button").press("Space")
    until(page, "[...v.textTracks].some(t => t.kind === 'captions' && t.mode === 'showing')")
    assert page.evaluate("document.querySelector('video').paused")


def test_a_menu_stays_open_where_the_keyboard_is_when_what_it_shows_changes(
    page: Page, player_site: PlayerSite
) -> None:
    page.goto(player_site.vod_url)
    until(page, "v.readyState >= 2")
    page.get_by_role("button", name="Speed").press("Enter")
    page.keyboard.press("ArrowDown")
    page.evaluate("document.querySelector('video').playbackRate = 1.75")
    expect(page.get_by_role("menuitemradio", name="1.75×")).to_be_checked()
    expect(page.get_by_role("menuitemradio", name="1.25×")).to_be_focused()


def test_the_players_menu_stays_readable_in_forced_colours(
    page: Page, player_site: PlayerSite
) -> None:
    page.emulate_media(forced_colors="active", color_scheme="light")
    page.goto(player_site.vod_url)
    page.get_by_role("button", name="Speed").click()
    menu = page.get_by_role("menu", name="Speed")
    background = menu.evaluate("menu => getComputedStyle(menu).backgroundColor")
    assert background == "rgba(16, 18, 24, 0.97)"  # dark, as the tick is white
