"""player.js in a real browser: what it says of a watch is what was watched."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import Complaints
from tests.service.site import FRAME_RATE, SECONDS
from tests.service.watching import (
    PlayerSite,
    Row,
    act,
    eventually,
    hear,
    heard,
    landed_with,
    sessions,
    show,
    show_vod,
    types_of,
    until,
    video_page,
    watched_seconds,
)

pytestmark = pytest.mark.browser

FRAME = 1 / FRAME_RATE
BEAT_MS = 15_000
HOUR_MS = 3_600_000


def is_whole(rows: list[Row]) -> bool:
    """Whether a session begins with a start at 0, lacks no event, and its clock never goes back."""
    return (
        (rows[0]["type"], rows[0]["elapsed_ms"]) == ("start", 0)
        and [row["sequence"] for row in rows] == list(range(len(rows)))
        and all(one["elapsed_ms"] <= following["elapsed_ms"] for one, following in pairwise(rows))
        and all(one["client_at"] <= following["client_at"] for one, following in pairwise(rows))
    )


@pytest.mark.parametrize("where", ["on our own page, from HLS", "on any page, from a file"])
def test_a_watch_lands_as_it_happened(
    page: Page, player_site: PlayerSite, complaints: Complaints, where: str
) -> None:
    if "our own" in where:
        vod_id = player_site.vod_id
        page.goto(player_site.vod_url)
        until(page, "v.readyState === 4")
    else:
        vod_id = player_site.new_vod()
        show_vod(page, player_site, vod_id)
    hear(page, "play", "pause", "ratechange")
    act(page, "v.play()")
    until(page, "v.currentTime > 0.6")
    act(page, "v.pause()")
    until(page, "heard.length === 2")
    act(page, "v.play()")
    until(page, "v.currentTime > 1.2")
    left = act(page, "v.currentTime = 12", before=True)
    until(page, "!v.seeking && v.currentTime > 12.5")
    act(page, "v.playbackRate = 2")
    until(page, "v.currentTime > 13.7")
    act(page, "v.pause()")
    # our own page keeps the speed for what is loaded anew, which is told as a change, too
    until(page, f"heard.length === {6 if 'our own' in where else 5}")
    begun, _, _, faster, *_, ended = heard(page)
    # a busy browser shows a few frames more after it told of a pause
    until(page, "window.last === v.currentTime || (window.last = v.currentTime, false)")
    _, settled = act(page, "")
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide")

    assert types_of(rows) == ["start", "pause", "play", "seek", "rate", "pause", "hide"]
    assert is_whole(rows)
    assert [row["is_paused"] for row in rows] == [0, 1, 0, 0, 0, 1, 1]
    assert [row["rate"] for row in rows] == [1, 1, 1, 1, 2, 2, 2]
    seek = rows[3]
    assert seek["position_ms"] == 12_000
    assert seek["from_position_ms"] == pytest.approx(1000 * left[1], abs=1000 * FRAME)
    assert [row["position_ms"] for row in rows[-2:]] == pytest.approx(
        [1000 * ended[1], 1000 * settled], abs=1000 * FRAME
    )
    really = [
        left[1] - begun[1],
        faster[1] - 12,
        ended[0] - faster[0],  # at double speed no more than the time that went by
        settled - ended[1],
    ]
    assert watched_seconds(rows) == pytest.approx(sum(really), abs=1.5 * FRAME)
    assert rows[-1]["frames"] == pytest.approx((ended[1] - 12 + left[1]) * FRAME_RATE, abs=12)
    assert 0 <= rows[-1]["dropped_frames"] <= rows[-1]["frames"]
    assert rows[-1]["stalled_ms"] < 1_000  # none, but for what a busy machine is late with
    assert {row["session_id"] for row in rows} == {rows[0]["session_id"]}
    assert {(row["vod_id"], row["stream_id"], row["clip_id"]) for row in rows} == {
        (vod_id, None, None)
    }
    assert {row["crawler"] for row in rows} == {"HeadlessChrome"}  # as every headless browser is
    assert [viewer[:3] for viewer in {row["viewer_id"] for row in rows}] == ["vw_"]
    assert complaints == []


def test_beats_come_every_15_seconds_from_the_start_and_while_it_is_paused(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    page.clock.fast_forward(BEAT_MS)  # nothing plays yet, so nothing is said
    act(page, "v.play()")
    until(page, "v.currentTime > 0.3")
    page.clock.fast_forward(BEAT_MS)
    until(page, "v.currentTime > 0.6")
    act(page, "v.pause()")
    for _ in range(3):
        page.clock.fast_forward(BEAT_MS)
    page.clock.fast_forward(1_000)
    rows = landed_with(page, player_site, vod_id, "beat", 4)
    assert types_of(rows) == ["start", "beat", "pause", "beat", "beat", "beat"]
    assert is_whole(rows)
    beats = [row for row in rows if row["type"] == "beat"]
    assert [row["is_paused"] for row in beats] == [0, 1, 1, 1]
    assert [row["elapsed_ms"] // BEAT_MS for row in beats] == [1, 2, 3, 4]
    assert watched_seconds(rows) < 1.5


def test_timers_once_a_minute_cost_nothing_but_beats(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    hear(page, "play", "pause")
    act(page, "v.play()")
    for second in (0.3, 0.6, 0.9):
        until(page, f"v.currentTime > {second}")
        page.clock.fast_forward(60_000)
    act(page, "v.pause()")
    until(page, "heard.length === 2")
    begun, ended = heard(page)
    page.clock.fast_forward(1_000)
    rows = landed_with(page, player_site, vod_id, "pause")
    assert types_of(rows) == ["start", "beat", "beat", "beat", "pause"]
    assert is_whole(rows)
    assert watched_seconds(rows) == pytest.approx(ended[1] - begun[1], abs=FRAME)


def test_after_four_hours_without_playing_a_new_session_begins(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.2")
    act(page, "v.pause()")
    until(page, "v.paused")
    page.clock.fast_forward(int(3.9 * HOUR_MS))
    act(page, "v.play()")  # not yet
    until(page, "v.currentTime > 0.4")
    act(page, "v.pause()")
    page.clock.fast_forward(int(4.1 * HOUR_MS))
    act(page, "v.play()")
    page.clock.fast_forward(1_000)
    first, second = sessions(landed_with(page, player_site, vod_id, "start", 2))
    assert types_of(first) == ["start", "pause", "beat", "play", "pause", "beat"]
    assert is_whole(first)
    assert is_whole(second)
    assert second[0]["position_ms"] >= 400


def test_playing_on_after_hours_of_sleep_is_a_new_session(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.2")
    page.clock.fast_forward(5 * HOUR_MS)  # no timer ran meanwhile, and no event came
    act(page, "v.pause()")
    first, second = sessions(landed_with(page, player_site, vod_id, "start", 2))
    assert types_of(first) == ["start"]
    assert types_of(second) == ["start", "pause"]
    assert is_whole(second)


def test_a_hidden_page_says_so_and_goes_on_in_the_same_session(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.3")
    become = (
        "isHidden => { Object.defineProperty(document, 'hidden', {value: isHidden, configurable:"
        " true}); document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.evaluate(become, True)
    landed_with(page, player_site, vod_id, "hide")
    page.evaluate(become, False)
    act(page, "v.pause()")
    rows = landed_with(page, player_site, vod_id, "pause")
    assert types_of(rows) == ["start", "hide", "pause"]
    assert is_whole(rows)


@pytest.mark.parametrize("how", ["closed", "left"])
def test_a_page_that_goes_says_so_once(browser: Browser, player_site: PlayerSite, how: str) -> None:
    vod_id = player_site.new_vod()
    with browser.new_context() as context:
        page, other = context.new_page(), context.new_page()
        show_vod(page, player_site, vod_id)
        act(page, "v.play()")
        until(page, "v.currentTime > 0.5")
        position = act(page, "void 0")[1]
        page.close() if how == "closed" else page.goto("about:blank")
        rows = landed_with(other, player_site, vod_id, "hide")
        assert types_of(rows) == ["start", "hide"]
        assert is_whole(rows)
        assert rows[-1]["position_ms"] / 1000 == pytest.approx(position, abs=1)
        assert rows[-1]["position_ms"] / 1000 >= position


def test_a_seek_begins_where_playback_really_was(page: Page, player_site: PlayerSite) -> None:
    """Whatever was done to the video in the same moment."""
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    left = []
    for step in (
        "v.currentTime = 5",
        "v.pause(); v.currentTime = 10; v.play()",
        "v.currentTime = 3; v.pause(); v.play()",
        "v.playbackRate = 1.5; v.currentTime = 15",
        "v.currentTime -= 2",
    ):
        start = act(page, "void 0")[1]
        until(page, f"!v.seeking && v.currentTime > {start} + 0.4")
        left.append(act(page, step, before=True)[1])
        until(page, f"Math.abs(v.currentTime - {left[-1]}) > 0.9")
    until(page, "!v.seeking")
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide")
    seeks = [row for row in rows if row["type"] == "seek"]
    assert [row["from_position_ms"] for row in seeks] == pytest.approx(
        [1000 * position for position in left], abs=1000 * FRAME
    )
    assert [row["position_ms"] for row in seeks[:4]] == [5_000, 10_000, 3_000, 15_000]
    assert is_whole(rows)


def test_a_held_key_is_one_seek_and_nothing_was_watched_on_the_way(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.5")
    act(page, "v.pause()")
    # all of it in the page: a busy machine is late with what it is told step by step
    page.evaluate(
        "async () => { const v = document.querySelector('video');"
        " for (let second = 2; second < 22; second += 1) {"
        " v.currentTime = second; await new Promise((go) => setTimeout(go, 30)); } }"
    )
    until(page, "!v.seeking")
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide")
    assert types_of(rows) == ["start", "pause", "seek", "hide"]
    assert rows[2]["position_ms"] == 21_000
    assert rows[2]["from_position_ms"] == rows[1]["position_ms"]
    assert watched_seconds(rows) < 0.9


def test_the_end_is_said_and_watching_again_goes_on(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, f"v.currentTime = {SECONDS - 0.6}")
    until(page, "!v.seeking")
    act(page, "v.play()")
    until(page, "v.ended")
    act(page, "v.play()")
    until(page, "v.currentTime > 0.3 && v.currentTime < 5")
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide")
    assert types_of(rows) == ["start", "end", "seek", "play", "hide"]
    assert is_whole(rows)
    assert rows[1]["is_paused"]
    assert rows[2]["from_position_ms"] == rows[1]["position_ms"]
    assert rows[2]["from_position_ms"] == pytest.approx(1000 * SECONDS, abs=60)
    assert rows[2]["position_ms"] == 0


def test_each_round_of_a_loop_is_a_session(page: Page, player_site: PlayerSite) -> None:
    vod_id = player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, f"v.loop = true; v.currentTime = {SECONDS - 0.6}")
    until(page, "!v.seeking")
    begun = act(page, "v.play()", before=True)
    until(page, "v.currentTime > 0.3 && v.currentTime < 5")
    page.goto("about:blank")
    first, second = sessions(landed_with(page, player_site, vod_id, "hide"))
    assert [types_of(first), types_of(second)] == [["start", "end"], ["start", "hide"]]
    assert is_whole(first)
    assert is_whole(second)
    assert watched_seconds(first) == pytest.approx(SECONDS - begun[1], abs=0.1)
    assert second[0]["position_ms"] < 100


@pytest.mark.parametrize("way", ["another source", "attached again", "detached"])
def test_another_source_or_attaching_anew_is_another_session(
    page: Page, player_site: PlayerSite, way: str
) -> None:
    vod_id, other_id = player_site.new_vod(), player_site.new_vod()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.5")
    late = 0.0  # a busy browser tells some time later that the first source is gone
    if way == "another source":
        hear(page, "emptied")
        left = act(page, "v.src += '?again'; v.play()", before=True)
        until(page, "heard.length")
        late = heard(page)[0][0] - left[0]
    elif way == "attached again":
        left = act(page, f"aethex.attach(v, {{vod: '{other_id}'}})", before=True)
    else:
        left = act(page, f"window.h = aethex.attach(v, {{vod: '{vod_id}'}}); h.detach()")
    until(page, "v.currentTime > 0.3")
    page.goto("about:blank")
    rows = landed_with(page, player_site, vod_id, "hide", 1 if way == "attached again" else 2)
    first = sessions(rows)[0]
    assert types_of(first) == ["start", "hide"]
    assert left[1] - FRAME <= first[-1]["position_ms"] / 1000 <= left[1] + late + FRAME
    if way == "attached again":
        others = landed_with(page, player_site, other_id, "hide")
        assert types_of(others) == ["start", "hide"]
        assert others[0]["position_ms"] == pytest.approx(1000 * left[1], abs=1000 * FRAME)
    else:
        assert [types_of(one) for one in sessions(rows)[1:]] == [["start", "hide"]]
    assert all(is_whole(one) for one in sessions(rows))


def test_videos_of_one_page_are_sessions_of_their_own(page: Page, player_site: PlayerSite) -> None:
    one, other, third = (player_site.new_vod() for _ in range(3))
    second = (
        f'<video muted preload="auto" src="{player_site.mp4}" data-aethex-vod="{other}"></video>'
    )
    show(page, player_site, video_page(player_site, f'data-aethex-vod="{one}"', second))
    both = "for (const one of document.querySelectorAll('video')) one"
    act(page, f"{both}.play()")
    until(page, "[...document.querySelectorAll('video')].every(one => one.currentTime > 0.3)")
    # a video that comes later is attached by hand; one that was taken out is let go
    page.evaluate(
        "([src, vod]) => { const v = document.createElement('video'); v.muted = true; v.src = src;"
        " aethex.attach(v, {vod}); document.body.append(v); return v.play(); }",
        [player_site.mp4, third],
    )
    page.goto("about:blank")
    all_rows = [landed_with(page, player_site, vod_id, "hide") for vod_id in (one, other, third)]
    assert [types_of(rows) for rows in all_rows] == [["start", "hide"]] * 3
    assert len({row["session_id"] for rows in all_rows for row in rows}) == 3
    assert all(is_whole(rows) for rows in all_rows)


def test_a_video_that_was_taken_out_of_the_page_beats_no_more(
    page: Page, player_site: PlayerSite
) -> None:
    vod_id = player_site.new_vod()
    page.clock.install()
    show_vod(page, player_site, vod_id)
    act(page, "v.play()")
    until(page, "v.currentTime > 0.2")
    page.evaluate("() => { window.kept = document.querySelector('video'); kept.remove(); }")
    eventually(page, lambda: page.evaluate("kept.paused"))
    for _ in range(3):
        page.clock.fast_forward(BEAT_MS)
    rows = landed_with(page, player_site, vod_id, "beat")
    assert types_of(rows) == ["start", "pause", "beat"]
