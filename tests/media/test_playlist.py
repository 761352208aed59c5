"""The playlist that is written: RFC 8216, and durations that add up."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.media.playlist import PlaylistRun, PlaylistSegment, media_playlist

AT = datetime(2026, 3, 1, 20, 0, 0, 250_000, tzinfo=UTC)


def run(*durations: int, init: str = "init.mp4", at: datetime | None = None) -> PlaylistRun:
    segments = [PlaylistSegment(f"{n:06d}.m4s", duration) for n, duration in enumerate(durations)]
    return PlaylistRun(init, segments, at)


def test_a_run_is_a_finished_vod() -> None:
    assert media_playlist([run(4000, 3500, at=AT)]).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-03-01T20:00:00.250Z",
        "#EXTINF:4.000,",
        "000000.m4s",
        "#EXTINF:3.500,",
        "000001.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_each_run_names_its_own_init_file_behind_a_discontinuity() -> None:
    text = media_playlist(
        [run(2000, init="../a/init.mp4"), run(), run(2000, init="../b/init.mp4", at=AT)]
    )
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert re.findall(r'EXT-X-MAP:URI="(.*)"', text) == ["../a/init.mp4", "../b/init.mp4"]
    first, second = text.split("#EXT-X-DISCONTINUITY\n")
    assert "PROGRAM-DATE-TIME" not in first
    assert (
        second.index("#EXT-X-MAP")
        < second.index("#EXT-X-PROGRAM-DATE-TIME")
        < second.index("#EXTINF")
    )


def test_wall_clocks_are_written_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert "2026-03-01T20:00:00.250Z" in media_playlist([run(1000, at=local)])


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=30))
def test_no_rounded_duration_exceeds_the_target_and_all_add_up(durations: list[int]) -> None:
    text = media_playlist([run(*durations)])
    written = [float(value) for value in re.findall(r"#EXTINF:([\d.]+),", text)]
    target = int(re.findall(r"TARGETDURATION:(\d+)", text)[0])
    assert round(sum(written) * 1000) == sum(durations)
    assert max(int(value + 0.5) for value in written) <= target


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run()],
        [run(0)],
        [run(1000, at=datetime(2026, 3, 1))],  # noqa: DTZ001
        [run(1000, init='a"b')],
        [run(1000, init="")],
        [PlaylistRun("init.mp4", [PlaylistSegment("a\n#EXT-X-ENDLIST", 1000)])],
        [PlaylistRun("init.mp4", [PlaylistSegment("#comment", 1000)])],
    ],
)
def test_what_would_break_a_playlist_is_refused(runs: list[PlaylistRun]) -> None:
    with pytest.raises(ValueError):
        media_playlist(runs)
