"""The pages in a real browser, over a real server: a video plays, seeks, fails and recovers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from aethex.lake import Lake
from aethex.library import Library
from aethex.settings import Settings
from aethex.store import open_store
from tests.browser import Complaints
from tests.postgres_server import PostgresForTests
from tests.service.content import AT, MadeVod, add_vod
from tests.service.judging import axe_finds
from tests.service.measured import build, land_counts
from tests.service.site import (
    FRAME_RATE,
    SECONDS,
    Site,
    import_source,
    make_source,
    own_site,
    serving_site,
)
from tests.service.watching import grow_old_at, until

pytestmark = pytest.mark.browser

WIDTHS = [1440, 390]
VIDEO = "media-controller video"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "source.mp4")


@pytest.fixture(scope="module")
def site(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory, source: Path
) -> Iterator[Site]:
    """The service on a free port, with one real VOD whose stream was measured, and others."""
    with own_site(postgres, tmp_path_factory.mktemp("site")) as (settings, held):
        vod_id = _make_content(settings, source)
        with serving_site(settings, held):
            yield Site(settings.effective_public_url, f"/vods/{vod_id}")


def _make_content(settings: Settings, source: Path) -> str:
    report = import_source(settings, source)
    made = MadeVod(report.vod_id, "", report.stream_id, report.channel_id, "")
    with Library.open(settings) as library, Lake.open(settings) as lake:
        store = open_store(settings)
        for n in range(14):
            add_vod(
                library,
                store,
                title=f"Day {n}" + ", with a long title that has to be cut" * (n % 3),
                has_poster=False,
                started_at=AT - timedelta(days=n),
                created_at=AT - timedelta(days=n),
            )
        land_counts(lake, made, [(6.0 * n, 100 + (400 if n == 2 else n), n) for n in range(4)])
        build(lake, library)
    return report.vod_id


@pytest.fixture
def viewport() -> ViewportSize:
    return {"width": 1440, "height": 900}


def open_vod(page: Page, site: Site, query: str = "") -> None:
    """The VOD's page with its player ready to play."""
    page.goto(site.url + site.vod_path + query)
    until(page, "v.readyState >= 2")


def second_of(page: Page) -> float:
    return page.evaluate(f"document.querySelector('{VIDEO}').currentTime")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_video_plays_without_any_complaint(browser: Browser, site: Site, width: int) -> None:
    complaints, is_phone = Complaints(), width < 500
    with browser.new_context(
        viewport={"width": width, "height": 844}, has_touch=is_phone, is_mobile=is_phone
    ) as context:
        page = context.new_page()
        complaints.watch(page)
        open_vod(page, site)
        play = page.locator(".big-play")
        play.tap() if is_phone else play.click()
        until(page, "!v.paused && v.currentTime > 1.5 && v.videoWidth === 640")
        until(page, "v.webkitAudioDecodedByteCount > 0")
        until(page, "v.getVideoPlaybackQuality().totalVideoFrames > 20")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert any(name.endswith(".m4s") for name in loaded)
        assert not any(name.endswith("video.mp4") for name in loaded)
        expect(page.locator("#player-fault")).to_be_hidden()
    assert complaints == []


def test_it_seeks_far_and_plays_on_from_there(
    page: Page, site: Site, complaints: Complaints
) -> None:
    open_vod(page, site)
    page.keyboard.press("8")
    until(page, f"!v.seeking && Math.abs(v.currentTime - {SECONDS * 0.8}) < 0.1")
    page.keyboard.press("k")
    until(page, f"v.currentTime > {SECONDS * 0.8 + 1}")
    page.keyboard.press("0")
    until(page, "!v.seeking && v.currentTime < 5")
    assert complaints == []


def test_the_player_listens_to_its_keys(page: Page, site: Site) -> None:
    open_vod(page, site)
    for key, second in (
        ("l", 10),
        ("ArrowRight", 15),
        ("j", 5),
        ("ArrowLeft", 0),
        ("5", SECONDS / 2),
    ):
        page.keyboard.press(key)
        assert second_of(page) == pytest.approx(second, abs=0.05)
    page.keyboard.press(".")
    frame = SECONDS / 2 * FRAME_RATE + 1
    assert frame <= second_of(page) * FRAME_RATE < frame + 1
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert frame - 2 <= second_of(page) * FRAME_RATE < frame - 1
    page.keyboard.press(">")
    until(page, "v.playbackRate === 1.25")
    page.keyboard.press("<")
    page.keyboard.press("<")
    until(page, "v.playbackRate === 0.75")
    page.keyboard.press("m")
    until(page, "v.muted")
    page.keyboard.press("f")
    until(page, "document.fullscreenElement?.id === 'player'")
    page.keyboard.press("f")
    until(page, "document.fullscreenElement === null")
    page.keyboard.press(" ")
    until(page, "!v.paused")
    page.keyboard.press("k")
    until(page, "v.paused")


def test_help_lists_the_keys_and_closes(page: Page, site: Site) -> None:
    open_vod(page, site)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("One frame back, forward")
    page.keyboard.press("l")  # the player rests while help is open
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert second_of(page) == 0


def test_keys_leave_a_focused_button_its_own(page: Page, site: Site) -> None:
    open_vod(page, site)
    page.locator("#show-keys").focus()
    page.keyboard.press(" ")
    expect(page.get_by_role("dialog")).to_be_visible()
    until(page, "v.paused")


def test_a_link_to_a_moment_starts_there(page: Page, site: Site) -> None:
    open_vod(page, site, "?t=0m12s")
    until(page, "Math.abs(v.currentTime - 12) < 0.1")


def test_a_link_to_the_moment_is_copied(page: Page, site: Site) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_vod(page, site, "?t=7")
    until(page, "v.currentTime >= 7")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied at this moment")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}{site.vod_path}?t=7"


def test_a_video_that_cannot_be_loaded_says_so_and_can_be_tried_again(
    page: Page, site: Site
) -> None:
    page.route("**/index.m3u8", lambda route: route.fulfill(status=404))
    page.goto(site.url + site.vod_path)
    expect(page.get_by_role("alert")).to_contain_text("This video is no longer here")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    until(page, "!v.paused && v.currentTime > 0.5")
    expect(page.locator("#player-fault")).to_be_hidden()


def test_a_page_that_outlived_its_addresses_offers_to_be_loaded_again(
    page: Page, site: Site
) -> None:
    page.route("**/index.m3u8", lambda route: route.fulfill(status=403))
    page.goto(site.url + site.vod_path)
    expect(page.get_by_role("alert")).to_contain_text("open for too long")
    page.unroute_all()
    with page.expect_event("load"):
        page.get_by_role("button", name="Load the page again").click()
    until(page, "v !== null && v.readyState >= 2")
    expect(page.locator("#player-fault")).to_be_hidden()


def test_a_file_whose_address_was_over_plays_from_a_new_one(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.route("**/hls.min.js", lambda route: route.abort())
    grow_old_at(page, "**/video.mp4", monkeypatch)
    page.goto(site.url + site.vod_path)
    until(page, "v.readyState >= 1")
    page.keyboard.press("k")
    until(page, "v.currentTime > 0.5")
    expect(page.locator("#player-fault")).to_be_hidden()


def test_segments_that_a_browser_cannot_decode_are_replaced_by_the_mp4(
    page: Page, site: Site
) -> None:
    page.route("**/*.m4s", lambda route: route.fulfill(body=b"no video", content_type="video/mp4"))
    page.goto(site.url + site.vod_path)
    page.locator(".big-play").click()
    until(page, "v.currentSrc.endsWith('video.mp4') && v.currentTime > 0.5")


@pytest.mark.parametrize("missing", ["hls.min.js", "media-chrome.js"])
def test_it_plays_without_the_code_of_others(page: Page, site: Site, missing: str) -> None:
    page.route(f"**/{missing}", lambda route: route.abort())
    page.goto(site.url + site.vod_path)
    until(page, "v.currentSrc !== '' && v.readyState >= 1")
    if missing == "media-chrome.js":
        until(page, "v.controls")
    page.keyboard.press("k")
    until(page, "v.currentTime > 0.5")


def test_it_plays_without_scripts(browser: Browser, site: Site) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.url + site.vod_path)
        video = page.locator("noscript video")
        expect(video).to_be_visible()
        assert page.request.get(site.url + str(video.get_attribute("src"))).ok
        expect(page.locator("media-controller")).to_be_hidden()


def test_the_audience_of_the_stream_stands_on_the_videos_time(page: Page, site: Site) -> None:
    open_vod(page, site)
    panel = page.get_by_role("region", name="Viewers while it was live")
    expect(panel).to_contain_text("500")
    panel.get_by_role("link", name="at 0:12").click()
    until(page, "Math.abs(v.currentTime - 12) < 2 && !v.paused")
    panel.locator("#curve").hover()
    expect(page.locator("#curve-tip")).to_contain_text("500 viewers")


def test_from_home_to_a_channel_to_a_video(page: Page, site: Site, complaints: Complaints) -> None:
    page.goto(site.url)
    page.get_by_role("link", name="@gdq").click()
    page.wait_for_url("**/channel/gdq/vods")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**?page=2")
    page.get_by_role("link", name="Day 12", exact=True).click()
    page.wait_for_url("**/vods/vod_*")
    page.get_by_role("link", name="The last boss", exact=True).click()
    page.wait_for_url(f"**{site.vod_path}")
    assert [text for text in complaints if "Day" in text] == []


PATHS = {
    "home": "/",
    "list": "/channel/gdq/vods",
    "vod": None,
    "missing": "/vods/nope",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_serious_and_nothing_overflows(
    browser: Browser, site: Site, width: int, scheme: str
) -> None:
    with browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    ) as context:
        page = context.new_page()
        found = {}
        for name, path in PATHS.items():
            page.goto(site.url + (path or site.vod_path))
            found[name] = axe_finds(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert found == {name: [] for name in PATHS}


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_moves_while_a_page_loads(browser: Browser, site: Site, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 844}) as context:
        page = context.new_page()
        page.add_init_script(
            "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach(entry => {"
            " window.shift += entry.value; })).observe({type: 'layout-shift', buffered: true});"
        )
        for path in ("/", "/channel/gdq/vods", site.vod_path):
            page.goto(site.url + path, wait_until="networkidle")
            assert page.evaluate("window.shift") < 0.01, path
