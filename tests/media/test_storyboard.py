"""The storyboard's plan: for a VOD of any length it covers everything once."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.media import storyboard

HOUR_MS = 3_600_000
durations = st.lists(st.lists(st.integers(1, 20_000), min_size=1, max_size=40), min_size=1).map(
    lambda runs: sum(map(sum, runs))
)
CUE = re.compile(
    r"([\d:.]+) --> ([\d:.]+)\n(storyboard-(\d+)\.webp)#xywh=(\d+),(\d+),(\d+),(\d+)\n"
)


def read(vtt: str) -> list[tuple[int, int, int, tuple[int, int, int, int]]]:
    """Start and end in ms, sheet and place of each cue."""

    def clock(text: str) -> int:
        hours, minutes, seconds = text.split(":")
        return int(hours) * HOUR_MS + int(minutes) * 60_000 + round(float(seconds) * 1000)

    assert vtt.startswith("WEBVTT\n\n")
    return [
        (clock(start), clock(end), int(sheet), (int(x), int(y), int(w), int(h)))
        for start, end, _, sheet, x, y, w, h in CUE.findall(vtt)
    ]


@given(duration_ms=st.one_of(durations, st.integers(1, 30 * HOUR_MS)))
def test_cues_cover_the_vod_without_holes_or_overlaps_and_tiles_show_their_own_time(
    duration_ms: int,
) -> None:
    cues = read(storyboard.webvtt(duration_ms, (160, 90)))
    tiles = storyboard.tiles(duration_ms)
    assert [(start, end) for start, end, _, _ in cues] == [(t.start_ms, t.end_ms) for t in tiles]
    assert [cues[0][0], *(end for _, end, _, _ in cues)] == [
        *(start for start, _, _, _ in cues),
        duration_ms,
    ]
    assert all(t.start_ms <= t.wanted_ms < t.end_ms <= t.start_ms + 10_000 for t in tiles)
    assert {sheet for _, _, sheet, _ in cues} == {*range(storyboard.sheet_count(duration_ms))}
    assert len({(sheet, place) for _, _, sheet, place in cues}) == len(cues)


@given(duration_ms=st.integers(1, 3 * HOUR_MS), size=st.sampled_from([(160, 90), (90, 160)]))
def test_every_tile_lies_on_its_sheet(duration_ms: int, size: tuple[int, int]) -> None:
    cues = read(storyboard.webvtt(duration_ms, size))
    for sheet in range(storyboard.sheet_count(duration_ms)):
        places = [place for _, _, of_sheet, place in cues if of_sheet == sheet]
        width, height = storyboard.sheet_size(len(places), size)
        assert max(x + w for x, _, w, _ in places) == width
        assert max(y + h for _, y, _, h in places) == height


def test_eight_hours_have_2880_tiles_and_every_hour_has_its_own() -> None:
    tiles = storyboard.tiles(8 * HOUR_MS)
    assert len(tiles) == 2_880
    assert storyboard.sheet_count(8 * HOUR_MS) == 29
    for hour in range(8):
        of_hour = [tile for tile in tiles if tile.start_ms // HOUR_MS == hour]
        assert len(of_hour) == 360
        assert of_hour[0].start_ms == hour * HOUR_MS
        assert of_hour[-1].end_ms == (hour + 1) * HOUR_MS


@pytest.mark.parametrize(
    ("picture", "aspect", "tile"),
    [
        ((1920, 1080), Fraction(1), (160, 90)),
        ((1080, 1920), Fraction(1), (90, 160)),
        ((640, 480), Fraction(1), (160, 120)),
        ((720, 576), Fraction(64, 45), (160, 90)),
        ((64, 36), Fraction(1), (64, 36)),
    ],
)
def test_a_tile_has_the_pictures_shape(
    picture: tuple[int, int], aspect: Fraction, tile: tuple[int, int]
) -> None:
    assert storyboard.fit(*picture, aspect, (160, 160)) == tile


def test_a_vod_without_a_duration_has_no_storyboard() -> None:
    with pytest.raises(ValueError, match="needs a duration"):
        storyboard.tiles(0)
