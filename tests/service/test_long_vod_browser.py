"""A VOD of eight hours in a real browser: to its end, and over pauses longer than its addresses."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from aethex.library import Library, vods
from aethex.service import media_tokens
from aethex.settings import Settings
from aethex.store import open_store
from aethex.workers.derive import derive_vod
from tests.browser import Complaints
from tests.postgres_server import PostgresForTests
from tests.service.long_vod import add_long_vod
from tests.service.site import Site, own_site, serving_site
from tests.service.watching import grow_old_at, until

pytestmark = pytest.mark.browser

HOURS = 8
SECONDS = HOURS * 3600
VIDEO = "document.querySelector('media-controller video')"


@pytest.fixture(scope="module")
def prepared(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, socket.socket]]:
    with own_site(postgres, tmp_path_factory.mktemp("long")) as prepared:
        yield prepared


@pytest.fixture(scope="module")
def site(
    prepared: tuple[Settings, socket.socket], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The service, with one VOD of eight hours."""
    settings, held = prepared
    with Library.open(settings) as library:
        vod_id = add_long_vod(settings, library, tmp_path_factory.mktemp("unit"), HOURS)
    with serving_site(settings, held):
        yield Site(settings.effective_public_url, f"/vods/{vod_id}")


def play_from(page: Page, second: float) -> None:
    page.evaluate(f"{VIDEO}.muted = true, {VIDEO}.currentTime = {second}, {VIDEO}.play()")
    until(page, f"v.currentTime > {second} + 0.5 && !v.seeking")


def test_eight_hours_play_from_the_first_frame_to_the_end(
    page: Page, site: Site, complaints: Complaints
) -> None:
    page.goto(site.url + site.vod_path)
    until(page, "v.readyState >= 2")
    assert page.evaluate(f"{VIDEO}.duration") == pytest.approx(SECONDS, abs=0.1)
    for second in (0, SECONDS / 2 + 1.7, SECONDS - 10):
        play_from(page, second)
    page.evaluate(f"{VIDEO}.playbackRate = 4")
    until(page, "v.ended")
    assert page.evaluate(f"{VIDEO}.currentTime") == pytest.approx(SECONDS, abs=0.1)
    assert complaints == []


def test_a_pause_longer_than_the_addresses_live_goes_on_at_the_same_second_to_the_end(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto(site.url + site.vod_path)
    until(page, "v.readyState >= 2")
    play_from(page, 100)
    page.evaluate(f"{VIDEO}.pause()")
    left_at = page.evaluate(f"{VIDEO}.currentTime")
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status))
    # a day later; only the service has to know
    day_later = SimpleNamespace(time=lambda: time.time() + 24 * 3600)
    monkeypatch.setattr(media_tokens, "time", day_later)
    buffered_until = page.evaluate(f"{VIDEO}.buffered.end(0)")
    page.evaluate(
        f"window.places = []; {VIDEO}.ontimeupdate = () => places.push({VIDEO}.currentTime)"
    )
    page.evaluate(f"{VIDEO}.playbackRate = 16; {VIDEO}.play()")
    until(page, f"v.currentTime > {buffered_until} + 8")
    places = page.evaluate("places")
    assert places == sorted(places)
    assert places[0] >= left_at
    assert statuses.count(403) == 1
    play_from(page, SECONDS - 20)
    until(page, "v.ended")
    assert statuses.count(403) == 1
    expect(page.locator("#player-fault")).to_be_hidden()


def test_a_page_that_was_left_open_before_its_first_play_plays(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow_old_at(page, "**/index.m3u8", monkeypatch)
    page.goto(site.url + site.vod_path)
    until(page, "v.readyState >= 2")
    play_from(page, 5)


@pytest.mark.soak
def test_its_storyboard_covers_every_hour(
    prepared: tuple[Settings, socket.socket], site: Site
) -> None:
    settings, _ = prepared
    store = open_store(settings)
    vod_id = site.vod_path.rpartition("/")[2]
    with Library.open(settings) as library:
        derive_vod(settings, library, store, vod_id)
        with library.session() as s:
            vod = vods.get(s, vod_id)
    assert vod is not None
    assert vod.storyboard_key is not None
    cues = store.get(vod.storyboard_key).decode().split("\n\n")[1:]
    assert len(cues) == SECONDS // 10
    sheets = {cue.splitlines()[-1].partition("#")[0] for cue in cues}
    folder = vod.storyboard_key.rpartition("/")[0]
    assert len(sheets) == 29
    assert all(store.exists(f"{folder}/{sheet}") for sheet in sheets)
    assert vod.mp4_key is not None
    assert store.exists(vod.mp4_key)
