"""From an encoder to a viewer who comes back: the platform's own processes, and a real browser.

A recorder, the service and a worker of the drain run, as `aethex up` starts them; Dagster's part in
it, starting that run, is tested with the pipeline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from aethex.fetch import Fetcher
from aethex.library import Library, channels, recording
from aethex.library.recording import RecordingWishes
from aethex.pipelines.work import handlers
from aethex.settings import Settings
from aethex.workers.worker import Pace, work
from tests.browser import Complaints
from tests.conftest import own_settings
from tests.postgres_server import PostgresForTests
from tests.service.site import listening, serving_site
from tests.service_process import free_port
from tests.workers.recorder.live_streams import make_flv
from tests.workers.recorder.recorder_process import RecorderProcess, add_rtmp_input, push

pytestmark = pytest.mark.browser

KEY = "a-stream-key"
PASSWORD = "correct horse battery"
SECONDS = 16
LEFT_AT = 11.0
VIDEO = "document.querySelector('media-controller video')"


@pytest.fixture
def platform(postgres: PostgresForTests, tmp_path: Path) -> Iterator[Settings]:
    """The running platform, with a channel that a person owns, and its RTMP input."""
    with postgres.fresh_database() as database_url, listening() as (held, url):
        settings = own_settings(tmp_path, database_url).model_copy(
            update={"public_url": url, "rtmp_port": free_port()}
        )
        with Library.open(settings) as library:
            add_rtmp_input(library, KEY, "retro")
            with library.session() as s:
                channel = channels.ensure_channel(s, "retro")
                # a minute by default, which would only make the test longer
                recording.set_wishes(s, channel.id, RecordingWishes(min_duration_seconds=10))
        recorder = RecorderProcess(settings, tmp_path / "recorder.log")
        recorder.start()
        try:
            with serving_site(settings, held):
                yield settings
        finally:
            recorder.stop()


@contextmanager
def signed_in(browser: Browser, url: str, *, is_new: bool) -> Iterator[Page]:
    """A browser of its own, signed up or in by the pages."""
    with browser.new_context(viewport={"width": 1280, "height": 860}) as context:
        page = context.new_page()
        page.goto(f"{url}/sign-up" if is_new else f"{url}/sign-in")
        page.get_by_label("Username").fill("mika")
        page.get_by_label("Password").fill(PASSWORD)
        name = "Sign up" if is_new else "Sign in"
        page.get_by_role("button", name=name).click()
        page.wait_for_url(f"{url}/")
        yield page


def until(holds: Callable[[], object]) -> None:
    """Until it holds; for what no event of the page tells."""
    give_up_at = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.05)


def is_so(page: Page, condition: str) -> bool:
    return page.evaluate(f"(() => {{ const v = {VIDEO}; return {condition}; }})()")


def drain(settings: Settings) -> None:
    """What the drain run does, until nothing waits."""
    pace = Pace(poll_seconds=0.1, idle_seconds=0.0)
    with Library.open(settings) as library, Fetcher(settings) as fetch:
        work(library, settings, handlers(settings, library, fetch), name="drain", pace=pace)


def test_a_stream_becomes_a_vod_that_a_viewer_leaves_and_comes_back_to(
    browser: Browser, platform: Settings, tmp_path: Path
) -> None:
    url, complaints = platform.effective_public_url, Complaints()
    flv = make_flv(tmp_path / "live.flv", SECONDS)

    with signed_in(browser, url, is_new=True) as page:
        complaints.watch(page)
        encoder = push(flv, platform.rtmp_port, KEY)
        page.goto(f"{url}/channel/retro/vods")
        card = page.locator("#results").get_by_role("heading", level=3)
        assert card.count() == 0
        assert encoder.wait(60) == 0, (tmp_path / "recorder.log").read_text()
        until(lambda: page.reload() and card.count() == 1)
        card.get_by_role("link").click()
        until(lambda: is_so(page, "v.readyState >= 2"))
        assert abs(page.evaluate(f"{VIDEO}.duration") - SECONDS) < 0.5
        page.keyboard.press("k")
        page.evaluate(f"{VIDEO}.currentTime = {LEFT_AT - 1}")
        until(lambda: is_so(page, f"!v.seeking && v.currentTime > {LEFT_AT}"))
        with page.expect_response("**/api/watch-progress"):
            page.keyboard.press("k")
        left_at = page.evaluate(f"{VIDEO}.currentTime")
        vod_url = page.url

    drain(platform)

    with signed_in(browser, url, is_new=False) as page:
        complaints.watch(page)
        page.goto(vod_url)
        until(
            lambda: is_so(page, f"v.readyState >= 2 && Math.abs(v.currentTime - {left_at}) < 0.1")
        )
        storyboard = page.request.get(f"{url}{page.locator('track').get_attribute('src')}")
        assert storyboard.text().count("-->") == 2
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").first.click()
        assert download.value.path().stat().st_size > 10_000
        page.keyboard.press("k")
        until(lambda: is_so(page, "v.ended"))
    # a page that is left, and an address that becomes a download, end their own requests
    assert [one for one in complaints if "net::ERR_ABORTED" not in one] == []
