"""In a real browser: the tile under the pointer is the right one, cards move when pointed at, and
the player's menus offer what there is.
"""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from aethex.imports import import_video
from tests.browser import Complaints
from tests.postgres_server import PostgresForTests
from tests.service.content import AT
from tests.service.judging import axe_finds
from tests.service.site import Site, own_site, serving_site
from tests.service.watching import eventually, until

pytestmark = pytest.mark.browser

COLORS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
SECONDS_EACH = 10


def make_colours(path: Path) -> Path:
    """Ten seconds of each colour, without sound."""
    inputs = [
        part
        for color in COLORS
        for part in ("-f", "lavfi", "-i", f"color={color}:s=320x180:r=10:d={SECONDS_EACH}")
    ]
    join = f"concat=n={len(COLORS)}:v=1:a=0"
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-pix_fmt", "yuv420p"]
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *inputs]
    subprocess.run([*program, "-filter_complex", join, *encode, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def site(postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    source = make_colours(tmp_path_factory.mktemp("source") / "colours.mp4")
    with own_site(postgres, tmp_path_factory.mktemp("site")) as (settings, held):
        report = import_video(
            settings, source, channel="gdq", stream="AGDQ", starts_at=AT, title="Colours"
        )
        with serving_site(settings, held):
            yield Site(settings.effective_public_url, f"/vods/{report.vod_id}")


@pytest.fixture
def viewport() -> ViewportSize:
    return {"width": 1440, "height": 900}


def open_vod(page: Page, site: Site) -> None:
    page.goto(site.url + site.vod_path)
    until(page, "v.readyState >= 2")


def point_at(page: Page, second: float) -> None:
    """Move the pointer over this second of the scrubber."""
    box = page.locator("media-time-range").bounding_box()
    assert box is not None
    padding = 14  # left and right of the bar
    share = second / (SECONDS_EACH * len(COLORS))
    x = box["x"] + padding + (box["width"] - 2 * padding) * share
    page.mouse.move(x, box["y"] + box["height"] / 2)


def colour_of(page: Page) -> str | None:
    """The colour that the tile shows."""
    thumbnail = page.locator("media-time-range media-preview-thumbnail")
    if not thumbnail.is_visible() or (thumbnail.bounding_box() or {"width": 0})["width"] < 100:
        return None
    shot = Image.open(io.BytesIO(thumbnail.screenshot())).convert("RGB")
    red, green, blue = shot.resize((1, 1), box=(20, 20, shot.width - 20, 60)).tobytes()
    return next(
        (
            name
            for name, (r, g, b) in COLORS.items()
            if abs(red - r) + abs(green - g) + abs(blue - b) < 60
        ),
        None,
    )


def test_the_scrubber_shows_the_tile_of_the_time_under_the_pointer(
    page: Page, site: Site, complaints: Complaints
) -> None:
    open_vod(page, site)
    for number, color in reversed(list(enumerate(COLORS))):
        point_at(page, number * SECONDS_EACH + 2)
        eventually(page, lambda color=color: colour_of(page) == color)
        point_at(page, number * SECONDS_EACH + 8)
        page.wait_for_timeout(60)
        assert colour_of(page) == color
    expect(page.locator("media-preview-time-display")).to_contain_text("0:0")
    assert complaints == []


def test_the_storyboard_is_still_there_after_the_video_was_started_anew(
    page: Page, site: Site
) -> None:
    open_vod(page, site)
    page.locator("#player-retry").dispatch_event("click")
    eventually(page, lambda: page.evaluate("document.querySelector('video').currentTime > 0.3"))
    point_at(page, 25)
    eventually(page, lambda: colour_of(page) == "blue")


def previews(page: Page) -> list[str]:
    """Previews that were loaded."""
    names = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    return [name for name in names if name.endswith("preview.webp")]


def test_a_card_moves_while_it_is_pointed_at_and_loads_nothing_before(
    page: Page, site: Site, complaints: Complaints
) -> None:
    page.goto(site.url)
    card = page.locator(".card").first
    before = card.bounding_box()
    assert previews(page) == []
    card.hover()
    eventually(page, lambda: card.locator("[data-previewing] .preview").count() == 1)
    assert len(previews(page)) == 1
    assert card.bounding_box() == before
    page.mouse.move(5, 5)
    expect(card.locator(".preview")).to_have_count(0)
    card.get_by_role("link").first.focus()
    eventually(page, lambda: card.locator("[data-previewing] .preview").count() == 1)
    assert complaints == []


@pytest.mark.parametrize(
    "kind", [{"reduced_motion": "reduce"}, {"has_touch": True, "is_mobile": True}]
)
def test_nothing_moves_on_touch_or_where_less_motion_is_asked_for(
    browser: Browser, site: Site, kind: dict[str, object]
) -> None:
    with browser.new_context(viewport={"width": 390, "height": 800}, **kind) as context:  # pyright: ignore[reportArgumentType]
        page = context.new_page()
        page.goto(site.url)
        page.locator(".card").first.hover()
        page.wait_for_timeout(400)
        assert page.locator(".preview").count() == 0
        assert previews(page) == []


def test_the_speed_menu_sets_the_speed_and_keeps_its_keys_to_itself(page: Page, site: Site) -> None:
    open_vod(page, site)
    button = page.get_by_role("button", name="Speed")
    button.focus()
    page.keyboard.press("Enter")
    menu = page.get_by_role("menu", name="Speed")
    expect(menu.get_by_role("menuitemradio")).to_have_count(8)
    expect(menu.get_by_role("menuitemradio", name="1×", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("l")  # the player's, not while a menu is open
    page.keyboard.press("Enter")
    eventually(page, lambda: page.evaluate("document.querySelector('video').playbackRate") == 1.25)
    expect(menu).to_be_hidden()
    expect(button).to_be_focused()
    state = page.evaluate("(v => [v.paused, v.currentTime])(document.querySelector('video'))")
    assert state == [True, 0]
    expect(button).to_have_text("1.25×")
    button.click()
    expect(menu.get_by_role("menuitemradio", name="1.25×")).to_be_checked()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()


MASTER = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=320x180,CODECS="avc1.42c00d"
index.m3u8?level=low
#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,CODECS="avc1.42c00d"
index.m3u8?level=high
"""


def test_the_quality_menu_is_there_when_there_is_a_choice(page: Page, site: Site) -> None:
    open_vod(page, site)
    button = page.get_by_role("button", name="Quality")
    expect(button).to_be_hidden()
    page.route("**/index.m3u8", lambda route: route.fulfill(body=MASTER))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_vod(page, site)
    expect(button).to_have_text("Auto")
    button.click()
    items = page.get_by_role("menu", name="Quality").get_by_role("menuitemradio")
    expect(items).to_have_text(["360p", "180p", re.compile("Auto")])
    expect(items.last).to_be_checked()
    was_low = any("level=low" in url for url in asked)
    other, name = ("high", "360p") if was_low else ("low", "180p")
    items.filter(has_text=name).first.click()
    eventually(page, lambda: any(f"level={other}" in url for url in asked))
    expect(button).to_have_text(name)


def test_captions_have_a_button_and_a_key_where_there_are_any(page: Page, site: Site) -> None:
    open_vod(page, site)
    button = page.locator("media-captions-button")
    expect(button).to_be_hidden()
    page.keyboard.press("c")
    expect(page.locator("#player-note")).to_have_text("No captions in this video")
    page.evaluate("document.querySelector('video').addTextTrack('captions', 'English', 'en')")
    expect(button).to_be_visible()
    mode = "[...document.querySelector('video').textTracks].find(t => t.kind === 'captions').mode"
    page.keyboard.press("c")
    eventually(page, lambda: page.evaluate(mode) == "showing")
    button.click()
    eventually(page, lambda: page.evaluate(mode) == "disabled")


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_serious_in_an_open_menu(
    browser: Browser, site: Site, width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        open_vod(page, site)
        page.get_by_role("button", name="Speed").click()
        menu = page.get_by_role("menu", name="Speed")
        expect(menu).to_be_visible()
        assert axe_finds(page) == []
        box, player = menu.bounding_box(), page.locator("#player").bounding_box()
        assert box is not None
        assert player is not None
        assert player["y"] <= box["y"]
        assert box["x"] + box["width"] <= player["x"] + player["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
