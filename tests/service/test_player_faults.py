"""player.js in a real browser: stalls and errors are told, and nothing ever breaks the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from aethex.service.ingest.events import MOST_MS
from tests.browser import Complaints
from tests.service.watching import (
    PlayerSite,
    Sent,
    act,
    landed_with,
    show_vod,
    types_of,
    until,
    video_page,
    watched_seconds,
)

pytestmark = pytest.mark.browser

EVENTS = "**/api/events*"

# A page that feeds its video segment by segment, as hls.js does: `feed(n)` appends the nth, of 4 s.
FED = """
<script>
  const media = new MediaSource();
  const video = document.querySelector("video");
  let feed;
  const isReady = (async () => {
    const playlist = "%s";
    const lines = (await (await fetch(playlist)).text()).split("\\n");
    const init = lines.find((line) => line.startsWith("#EXT-X-MAP")).match(/URI="(.*?)"/)[1];
    const parts = [init, ...lines.filter((line) => line && !line.startsWith("#"))];
    video.src = URL.createObjectURL(media);
    await new Promise((done) => media.addEventListener("sourceopen", done, { once: true }));
    const buffer = media.addSourceBuffer('video/mp4; codecs="avc1.42c01e, mp4a.40.2"');
    const append = async (n) => {
      buffer.appendBuffer(await (await fetch(new URL(parts[n], new URL(playlist)))).arrayBuffer());
      await new Promise((done) => buffer.addEventListener("updateend", done, { once: true }));
    };
    await append(0);
    media.duration = 24;
    feed = (n) => append(n + 1);
  })();
</script>
"""


def show_fed(page: Page, site: PlayerSite, vod_id: str) -> None:
    """Open that page, with nothing fed yet."""
    playlist = page.request.get(f"{site.url}/api/vods/{site.vod_id}").json()["hls_url"]
    html = video_page(site, f'data-aethex-vod="{vod_id}"', FED % playlist)
    html = html.replace(f'src="{site.mp4}" ', "")
    page.context.route(
        f"{site.url}/fed", lambda route: route.fulfill(body=html, content_type="text/html")
    )
    page.goto(f"{site.url}/fed")
    page.evaluate("isReady")


def test_waiting_for_data_in_the_middle_is_a_stall_but_loading_and_seeking_are_none(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    show_fed(page, player_site, vod_id)
    page.evaluate("void video.play()")
    page.wait_for_timeout(200)  # it loads at first
    page.evaluate("feed(0)")
    until(page, "v.currentTime > 0.3")
    act(page, "v.currentTime = 3")
    until(page, "!v.seeking && v.currentTime > 3.2")
    act(page, "v.pause()")
    begun = act(page, "v.play()", before=True)
    until(page, "v.readyState === 2 && !v.seeking")
    stopped = act(page, "void 0")
    page.wait_for_timeout(500)
    fed = act(page, "void 0")
    page.evaluate("feed(1)")
    until(page, "v.currentTime > 4.2")
    resumed = act(page, "void 0")
    act(page, "v.playbackRate = 1.5")  # an event that tells how long it was
    act(page, "v.currentTime = 13")
    page.wait_for_timeout(200)  # nothing is there yet
    page.evaluate("feed(3)")
    until(page, "v.currentTime > 13.3")
    act(page, "v.pause()")
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide")
    assert types_of(rows) == [
        *("start", "seek", "pause", "play", "rate", "seek", "pause", "hide"),
    ]
    assert [row["stalls"] for row in rows] == [0, 0, 0, 0, 1, 1, 1, 1]
    least, most = 1000 * (fed[0] - stopped[0]), 1000 * (resumed[0] - begun[0])
    assert least - 50 <= rows[4]["stalled_ms"] <= most
    assert {row["stalled_ms"] for row in rows[4:]} == {rows[4]["stalled_ms"]}
    part = rows[3:5]
    assert watched_seconds(part) == pytest.approx(
        part[1]["position_ms"] / 1000 - begun[1], abs=0.05
    )
    assert watched_seconds(part) < (part[1]["elapsed_ms"] - part[0]["elapsed_ms"]) / 1000 - 0.4
    assert stopped[1] == pytest.approx(4, abs=0.1)


def test_an_error_is_told_in_the_players_words(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    show_fed(page, player_site, vod_id)
    page.evaluate("feed(0)")
    act(page, "v.play()")
    until(page, "v.currentTime > 0.5")
    act(page, "media.endOfStream('decode')")
    until(page, "v.error !== null")
    [error] = [
        row for row in landed_with(page, player_site, vod_id, "error") if row["type"] == "error"
    ]
    assert error["error"].startswith("MediaError 3: ")
    assert error["position_ms"] > 400


# What a video may say of itself, and what is told of it then.
ODD = {
    "a long error, cut in a character": (
        "Object.defineProperty(v, 'error', {value: {code: 4, message: 'x\\n'.repeat(142)"
        " + '\\u{1f600}'.repeat(9) + '\\ud83d'}}); v.dispatchEvent(new Event('error'))",
        ("error", "error", f"MediaError 4: {'x ' * 142}\U0001f600\U0001f600"),
    ),
    "no playhead": ("Object.defineProperty(v, 'currentTime', {value: NaN})", ("position_ms", 0)),
    "a playhead since 1970": (
        "Object.defineProperty(v, 'currentTime', {value: 1.7e9})",
        ("position_ms", MOST_MS),
    ),
    "no speed": ("v.playbackRate = 0", ("rate", 0)),
    "the slowest speed": ("v.playbackRate = 0.0625", ("rate", 0.0625)),
    "half a playhead": ("v.currentTime = 1.23456789", ("seek", "position_ms", 1235)),
    "no frames": (
        "v.getVideoPlaybackQuality = () => ({totalVideoFrames: 0, droppedVideoFrames: 0})",
        ("frames", 0),
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_whatever_a_video_says_is_taken(page: Page, player_site: PlayerSite, odd: str) -> None:
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.1")
    action, (*of_type, name, value) = ODD[odd]
    act(page, action)
    until(page, "!v.seeking")
    act(page, "v.pause()")
    rows = landed_with(page, player_site, vod_id, "pause")
    wanted = of_type[0] if of_type else "pause"
    assert [row["sequence"] for row in rows] == list(range(len(rows)))  # none was refused
    assert [row[name] for row in rows if row["type"] == wanted] == [value]


def test_a_place_asked_for_before_anything_is_loaded_is_no_seek(
    page: Page, player_site: PlayerSite
) -> None:
    """As a link to a moment does."""
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, "v.load(); v.currentTime = 1; v.currentTime = 5; v.play()")
    until(page, "v.currentTime > 5.2")
    act(page, "v.pause()")
    rows = landed_with(page, player_site, vod_id, "pause")
    assert types_of(rows) == ["start", "pause"]
    assert rows[0]["position_ms"] == 5_000


def test_a_live_stream_has_no_end(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    show_fed(page, player_site, vod_id)
    page.evaluate("media.duration = Infinity")
    page.evaluate("void video.play()")
    page.evaluate("feed(0)")
    until(page, "v.currentTime > 0.2")
    act(page, "v.currentTime = 3")
    until(page, "!v.seeking && v.currentTime > 3.1")
    act(page, "v.pause()")
    rows = landed_with(page, player_site, vod_id, "pause")
    assert types_of(rows) == ["start", "seek", "pause"]
    assert rows[1]["position_ms"] == 3_000


BROKEN = {
    "storage denied": "Object.defineProperty(window, 'localStorage', {get() { throw Error(); }})",
    "storage full": "Storage.prototype.setItem = () => { throw new Error('QuotaExceededError'); }",
    "an old browser": "for (const [where, names] of [[Navigator, ['locks', 'sendBeacon']],"
    " [HTMLVideoElement, ['getVideoPlaybackQuality']], [Crypto, ['randomUUID']]])"
    " for (const name of names) Object.defineProperty(where.prototype, name, {value: undefined});"
    " delete AbortSignal.timeout",
    "storage with rubbish": "localStorage.setItem(`aethex-player:own:${location.origin}:1`, '{]');"
    "localStorage.setItem(`aethex-player:own:${location.origin}:2`, '{\"events\": [null, 7, {}]}');"
    "localStorage.setItem('aethex-player:viewer', 'x')",
    "fetch broken": "window.fetch = () => { throw new Error('no fetch'); }",
    "locks refused": "if (window.LockManager)"
    " LockManager.prototype.request = () => Promise.reject(new Error('refused'))",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_nothing_breaks_the_page(page: Page, player_site: PlayerSite, broken: str) -> None:
    vod_id = player_site.new_vod()
    complaints = Complaints()
    complaints.watch(page)
    page.add_init_script(BROKEN[broken])
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.3")
    act(page, "v.currentTime = 8; v.playbackRate = 2; v.pause()")
    until(page, "!v.seeking")
    if broken != "fetch broken":
        rows = landed_with(page, player_site, vod_id, "pause")
        assert types_of(rows) == ["start", "seek", "rate", "pause"]
        assert all(len(row["event_id"]) == 36 and row["event_id"][14] == "4" for row in rows)
    page.evaluate("window.dispatchEvent(new Event('pagehide'))")
    assert complaints == []


def test_a_wrong_use_is_a_warning_and_no_exception(page: Page, player_site: PlayerSite) -> None:
    complaints = Complaints()
    complaints.watch(page)
    show_vod(page, player_site, player_site.new_vod())
    for wrong in ("", "null, {vod: 'a'}", "v", "v, {}", "v, {vod: 'a', clip: 'b'}", "document, 7"):
        act(page, f"aethex.attach({wrong}).detach()")
    act(page, "aethex.engage()")
    assert len(complaints) in (1, 2)
    assert all(said.startswith("warning: aethex: attach") for said in complaints)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.2")


def test_a_script_that_is_there_twice_counts_once(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    sent = Sent(page)
    again = f'<script src="{player_site.url}/player.js?again" defer></script>'
    show_vod(page, player_site, vod_id, again)
    act(page, "v.play()")
    landed_with(page, player_site, vod_id, "start")
    assert [types_of(batch) for batch in sent] == [["start"]]


def test_a_module_finds_the_service_at_the_page_or_where_it_is_told(
    page: Page, player_site: PlayerSite
) -> None:
    """Our own scripts may import it: it has no script element of its own then."""
    vod_id = player_site.new_vod()
    html = video_page(player_site, f'data-aethex-vod="{vod_id}"')
    script = f'<script src="{player_site.url}/player.js" defer></script>'
    module = '<script type="module">import "/player.js";</script>'
    elsewhere = player_site.elsewhere
    told = module.replace("<script", f'<script data-aethex-url="{player_site.url}"')
    elsewhere.pages["/module"] = html.replace(script, told.replace("player.js", "p.js"))
    page.context.route(
        f"{player_site.url}/module",
        lambda route: route.fulfill(body=html.replace(script, module), content_type="text/html"),
    )
    code = page.request.get(f"{player_site.url}/player.js").text()
    page.context.route(
        "**/p.js", lambda route: route.fulfill(body=code, content_type="text/javascript")
    )
    for count, url in enumerate((player_site.url, elsewhere.url), 1):
        page.goto(f"{url}/module")
        until(page, "v.readyState === 4")
        act(page, "v.play()")
        landed_with(page, player_site, vod_id, "start", count)
