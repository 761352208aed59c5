"""What a creator sees and sets, in a real browser: by keyboard, without scripts, on any screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from aethex.library import Library, inputs, jobs, recording, vods
from aethex.library.recording import RecordingWishes
from aethex.settings import Settings
from aethex.store import open_store
from tests.postgres_server import PostgresForTests
from tests.service.captured import begin_vod, go_live, make_captured
from tests.service.content import add_vod
from tests.service.judging import judged
from tests.service.people import Person, give_channel, person
from tests.service.site import own_site, serving_site

pytestmark = pytest.mark.browser

SCREENS = ((360, "light"), (1440, "dark"))


@dataclass(frozen=True)
class Creator:
    """A site, and Ada, whose channel `adas` has all that can be told of."""

    url: str
    ada: Person
    library: Library
    vod_path: str
    making_path: str
    deleted_path: str

    def signed_in(self, context: BrowserContext) -> None:
        name, _, secret = self.ada.cookie.partition("=")
        context.add_cookies([{"name": name, "value": secret, "url": self.url}])


@pytest.fixture(scope="module")
def site(postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Creator]:
    folder = tmp_path_factory.mktemp("site")
    with (
        own_site(postgres, folder) as (settings, held),
        serving_site(settings, held),
        Library.open(settings) as library,
    ):
        yield make_creator(settings, library)


def make_creator(settings: Settings, library: Library) -> Creator:
    """Streams, VODs and inputs of Ada's."""
    now = datetime.now(UTC)
    ada, store = person(library, settings, "ada"), open_store(settings)
    channel_id = give_channel(library, "adas", ada)
    made = add_vod(library, store, username="adas", title="Evening with a long title " * 3)
    holes = [(4920.0, 4922.4, "encoder_reconnect"), (5400.0, 5400.5, "recorder_down")]
    make_captured(library, made, lasted=timedelta(hours=2), holes=holes)  # pyright: ignore
    gone = add_vod(library, store, username="adas", title="Thrown away")
    stream = go_live(library, "adas", now - timedelta(minutes=42), "Rehearsal of the finale")
    making = begin_vod(library, stream)
    with library.session() as s:
        vods.mark_deleted(s, gone.id, now)
        jobs.enqueue(s, vods.DERIVE_KIND, made.id)
        recording.set_wishes(s, channel_id, RecordingWishes(delete_after_days=20))
        inputs.add_input(s, channel_id, "mediamtx", "adas", name="Studio", key="k")
        inputs.add_input(s, channel_id, "srt", name="Field kit", key="k2")
        inputs.add_input(s, channel_id, "pull", pull_url="https://1.1.1.1/live/" + "a" * 60)
    pages = (f"/vods/{one}" for one in (made.id, making, gone.id))
    return Creator(settings.effective_public_url, ada, library, *pages)


def open_all(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")


def test_all_that_a_creator_sees_suits_everybody(browser: Browser, site: Creator) -> None:
    paths = ("/", "/channel/adas/vods", "/settings", *[site.vod_path, site.making_path])
    wrong: dict[object, list[object]] = {}
    for width, scheme in SCREENS:
        with browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
        ) as context:
            site.signed_in(context)
            page = context.new_page()
            for path in (*paths, site.deleted_path):
                page.goto(site.url + path)
                open_all(page)
                wrong[width, path] = judged(page, width)
    assert wrong == {shown: [] for shown in wrong}


def test_an_input_is_added_and_its_key_kept_by_keyboard(browser: Browser, site: Creator) -> None:
    with browser.new_context(viewport={"width": 360, "height": 800}) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        site.signed_in(context)
        page = context.new_page()
        page.goto(f"{site.url}/settings")
        for summary in ("Add an input", "RTMP, from OBS"):
            page.locator("summary", has_text=summary).focus()
            page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("Attic")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("RTMP, pushed to us is added")
        assert judged(page, 360) == []
        key = page.locator("[aria-labelledby=given-key]").inner_text()
        page.get_by_role("button", name="Copy the key").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == key
        page.reload()  # sends no form again
        expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
        expect(page.locator(".input", has_text="Attic")).to_have_count(1)
        assert key not in page.content()


def test_all_of_it_works_without_scripts(browser: Browser, site: Creator) -> None:
    with browser.new_context(
        viewport={"width": 360, "height": 800}, java_script_enabled=False
    ) as context:
        site.signed_in(context)
        page = context.new_page()
        page.goto(f"{site.url}/settings")
        studio = page.locator(".input", has_text="Studio")
        studio.locator("summary", has_text="New key").click()
        studio.get_by_role("button", name="Make a new key").click()
        expect(page.locator("[aria-labelledby=given-key]")).to_have_text(re.compile(r"^\S{32}$"))
        page.get_by_role("link", name="back to the settings").click()
        studio.locator("summary", has_text="Remove").click()
        expect(studio).to_contain_text("Its streams and VODs stay.")
        studio.get_by_role("button", name="Remove this input").click()
        expect(page.locator("#inputs [role=status]")).to_have_text("Saved")
        expect(studio).to_have_count(0)

        section = page.locator("#recording")
        section.get_by_label("Days until VODs are deleted").fill("many")
        section.get_by_role("button", name="Save").click()
        expect(section.locator(".wrong")).to_contain_text("'many' is no number")
        section.get_by_label("Never").check()
        section.get_by_label("Record streams").select_option("No")
        section.get_by_role("button", name="Save").click()
        expect(section.locator("[role=status]")).to_have_text("Saved")
        expect(section.get_by_label("Record streams")).to_have_value("no")
        page.goto(site.url + site.vod_path)
        page.locator("summary", has_text="What is missing").click()
        expect(page.locator(".gaps tbody tr")).to_have_count(2)
