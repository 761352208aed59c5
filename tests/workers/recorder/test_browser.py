"""A recording in a real Chromium, through the service: it plays across what happened to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page

from aethex.library import Library, captures
from aethex.store import open_store
from tests.browser import Complaints
from tests.conftest import own_settings
from tests.postgres_server import PostgresForTests
from tests.service.site import Site, listening, serving_site
from tests.workers.recorder.live_streams import Studio, add_live_stream, end_stream, make_flv

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('media-controller video')"
SECONDS = 8 + 6 + 6


@pytest.fixture(scope="module")
def site(postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service, with the recording of a stream whose encoder reconnected twice: with a larger
    picture, then without sound.
    """
    folder = tmp_path_factory.mktemp("recording")
    flvs = [
        make_flv(folder / "first.flv", 8),
        make_flv(folder / "larger.flv", 6, size="640x360"),
        make_flv(folder / "silent.flv", 6, sound=False),
    ]
    with postgres.fresh_database() as database_url, listening() as (held, url):
        settings = own_settings(folder, database_url).model_copy(
            update={"public_url": url, "recording_min_seconds": 1}
        )
        with Library.open(settings) as library:
            stream = add_live_stream(library)
            studio = Studio(settings, library, open_store(settings))
            studio.record(stream, *flvs, starts=(0, 20, 40))
            end_stream(library, stream.id, timedelta(seconds=46))
            studio.finish()
            studio.close()
            with library.session() as s:
                capture = captures.of_stream(s, stream.id)
        assert capture is not None
        with serving_site(settings, held):
            yield Site(url, f"/vods/{capture.vod_id}")


def wait_until(page: Page, condition: str) -> None:
    """Until the condition holds, with the video element as `v` (the page forbids eval)."""
    give_up_at = time.monotonic() + 30
    while not page.evaluate(f"(() => {{ const v = {VIDEO}; return {condition}; }})()"):
        assert time.monotonic() < give_up_at, f"never came true: {condition}"
        page.wait_for_timeout(20)


def test_it_plays_to_its_end_across_reconnects(browser: Browser, site: Site):
    complaints = Complaints()
    with browser.new_context() as context:
        page = context.new_page()
        complaints.watch(page)
        page.goto(site.url + site.vod_path)
        wait_until(page, "v.readyState >= 2")
        assert page.evaluate(f"{VIDEO}.videoWidth") == 320
        page.evaluate(f"{VIDEO}.muted = true, {VIDEO}.playbackRate = 4, {VIDEO}.play()")
        wait_until(page, "v.currentTime > 9 && v.videoWidth === 640")
        wait_until(page, "v.currentTime > 15 && v.videoWidth === 320")
        wait_until(page, "v.ended")
        assert page.evaluate(f"{VIDEO}.buffered.length") == 1
        assert page.evaluate(f"{VIDEO}.duration") == pytest.approx(SECONDS, abs=0.1)
    assert complaints == []
