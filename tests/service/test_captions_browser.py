"""Captions in a real browser: the right words at the right time, chosen once for all videos."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from aethex.imports import import_video
from aethex.library import Library
from aethex.service import media_tokens
from aethex.service.session_cookie import cookie_name
from aethex.settings import Settings
from tests.browser import Complaints
from tests.media.captioned import SRT, with_cea_608, with_subtitles
from tests.media.footage import Recipe, make
from tests.postgres_server import PostgresForTests
from tests.service.judging import judged
from tests.service.people import Person, give_channel, person
from tests.service.site import listening, serving_site

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('media-controller video')"
SHOWN = (
    f"[...{VIDEO}.textTracks].filter(t => t.kind !== 'metadata' && t.mode === 'showing')"
    ".flatMap(t => [...t.activeCues ?? []].map(cue => cue.getCueAsHTML().textContent.trim()))"
)


@dataclass(frozen=True)
class Captioned:
    """A service with VODs whose captions come from different places, and who owns them."""

    url: str
    settings: Settings
    ada: Person
    two: str
    """English and German, from the file."""
    in_picture: str
    """CEA-608, in the packets of the picture."""
    none: str


@pytest.fixture(scope="module")
def site(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Captioned]:
    folder = tmp_path_factory.mktemp("captioned")
    recipe = Recipe(seconds=8, options="preset=ultrafast;g=30;bf=0")
    plain = make(folder / "plain.mp4", recipe)
    films = {
        "two": with_subtitles(plain, folder / "two.mp4", "mov_text", ["eng", "ger"]),
        "in_picture": with_cea_608(plain, folder / "cc.mp4", [(2.0, 4.0, "In the picture")]),
        "none": plain,
    }
    with postgres.fresh_database() as database_url, listening() as (held, url):
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path_factory.mktemp("site"),
            database_url=database_url,
            public_url=url,
        )
        paths = {
            name: f"/vods/{import_video(settings, film, channel='adas', stream=name).vod_id}"
            for name, film in films.items()
        }
        with Library.open(settings) as library:
            ada = person(library, settings, "ada")
            give_channel(library, "adas", ada)
        with serving_site(settings, held):
            yield Captioned(url, settings, ada, **paths)


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US") as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, complaints: Complaints) -> Page:
    page = context.new_page()
    complaints.watch(page)
    return page


def wait_until(page: Page, condition: str) -> None:
    """Until it holds, with the video as `v`, and what is shown of captions as `shown`."""
    asked = f"(() => {{ const v = {VIDEO}, shown = {SHOWN}; return {condition}; }})()"
    give_up_at = time.monotonic() + 30
    while not page.evaluate(asked):
        assert time.monotonic() < give_up_at, f"never came true: {condition}"
        page.wait_for_timeout(20)


def at(page: Page, seconds: float) -> None:
    """Look at that moment."""
    page.evaluate(f"{VIDEO}.currentTime = {seconds}")
    wait_until(page, f"v.readyState >= 2 && !v.seeking && Math.abs(v.currentTime - {seconds}) < .1")


def open_vod(page: Page, site: Captioned, path: str) -> None:
    page.goto(site.url + path)
    wait_until(page, "v.readyState >= 2")


def sign_in(context: BrowserContext, site: Captioned) -> None:
    name = cookie_name(site.settings)
    context.add_cookies([{"name": name, "value": site.ada.secret, "url": site.url}])


def test_the_right_cue_is_shown_at_its_time_and_c_turns_them_off(
    page: Page, site: Captioned, complaints: Complaints
) -> None:
    open_vod(page, site, site.two)
    at(page, 1.5)
    wait_until(page, "shown.length === 0")
    page.keyboard.press("c")
    expect(page.locator("#player-note")).to_have_text("Captions: English")
    wait_until(page, "shown.join() === 'Hello there'")
    at(page, 2.8)
    wait_until(page, "shown.length === 0")
    at(page, 3.5)
    wait_until(page, "shown.join() === 'Two\\nlines & more'")
    page.keyboard.press("c")
    expect(page.locator("#player-note")).to_have_text("Captions off")
    wait_until(page, "shown.length === 0")
    assert complaints == []


def test_the_menu_offers_the_languages_and_the_choice_is_kept(
    page: Page, site: Captioned, complaints: Complaints
) -> None:
    open_vod(page, site, site.two)
    page.get_by_role("button", name="Captions: Off").click()
    page.get_by_role("menuitemradio", name="Deutsch").click()
    page.reload()
    expect(page.get_by_role("button", name="Captions: Deutsch")).to_be_visible()
    at(page, 1.5)
    wait_until(page, "shown.join() === 'Hello there'")
    assert page.evaluate(
        f"[...{VIDEO}.textTracks].filter(t => t.mode === 'showing').map(t => t.language)"
    ) == ["de"]
    page.get_by_role("button", name="Captions: Deutsch").click()
    page.get_by_role("menuitemradio", name="Off").click()
    page.reload()
    expect(page.get_by_role("button", name="Captions: Off")).to_be_visible()
    assert complaints == []


def test_captions_in_the_picture_are_offered_and_shown_in_time(
    page: Page, site: Captioned, complaints: Complaints
) -> None:
    open_vod(page, site, site.in_picture)
    button = page.locator("media-captions-button")
    expect(button).to_be_visible()
    button.click()
    at(page, 2.5)
    wait_until(page, "shown.join() === 'In the picture'")
    at(page, 1.5)
    wait_until(page, "shown.length === 0")
    page.reload()
    at(page, 3.5)
    wait_until(page, "shown.join() === 'In the picture'")
    at(page, 5)
    wait_until(page, "shown.length === 0")
    assert complaints == []


def test_where_there_are_none_nothing_is_offered(page: Page, site: Captioned) -> None:
    open_vod(page, site, site.none)
    expect(page.locator("media-captions-button")).to_be_hidden()
    expect(page.locator("#caption-menu")).to_be_hidden()
    page.keyboard.press("c")
    expect(page.locator("#player-note")).to_have_text("No captions in this video")


def test_captions_that_are_wanted_after_many_hours_come_from_a_new_address(
    page: Page, site: Captioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_vod(page, site, site.two)
    later = time.time() + 24 * 3600
    monkeypatch.setattr(media_tokens, "time", SimpleNamespace(time=lambda: later))
    at(page, 1.5)
    page.keyboard.press("c")
    wait_until(page, "shown.join() === 'Hello there'")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_the_owner_adds_captions_without_scripts_and_the_page_suits_everybody(
    browser: Browser, site: Captioned, tmp_path: Path, width: int, scheme: str
) -> None:
    good, bad = tmp_path / "said.srt", tmp_path / "bad.vtt"
    good.write_text(SRT)
    bad.write_text("WEBVTT\n\n00:01 --> 00:02\nx\n")
    size = ViewportSize(width=width, height=900)
    with browser.new_context(viewport=size, java_script_enabled=False) as context:
        sign_in(context, site)
        page = context.new_page()
        page.goto(site.url + site.none)
        page.locator(".captions summary").click()
        page.get_by_label("File (WebVTT or SRT)").set_input_files(bad)
        page.get_by_label("Language", exact=True).fill("fr")
        page.get_by_role("button", name="Add captions").click()
        expect(page.get_by_role("alert")).to_contain_text("Line 3")
        expect(page.get_by_label("Language", exact=True)).to_have_value("fr")
        page.get_by_label("File (WebVTT or SRT)").set_input_files(good)
        page.get_by_role("button", name="Add captions").click()
        expect(page.locator(".captions-list")).to_contain_text("Français")
    with browser.new_context(
        viewport=size,
        color_scheme=scheme,  # pyright: ignore[reportArgumentType]
    ) as context:
        sign_in(context, site)
        page = context.new_page()
        open_vod(page, site, site.none)
        page.locator(".captions summary").click()
        assert judged(page, width) == []
        at(page, 1.5)
        page.keyboard.press("c")
        wait_until(page, "shown.join() === 'Hello there'")
        page.get_by_role("button", name="Remove captions in Français").click()
        expect(page.locator(".captions-list")).to_be_hidden()
        assert urlsplit(page.url).path == site.none
