"""Files whose packets or timestamps are broken, and what is made of them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aethex.media import decide
from aethex.media.errors import NoVideo
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.probe import AudioStream, Probe, VideoStream, probe
from tests.media.conftest import Packager, joined, media_settings
from tests.media.footage import Recipe, look
from tests.media.test_hls import Footage

SHORT = Recipe(seconds=3)


def test_a_recording_that_starts_over_is_put_on_one_timeline(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    """Two recordings in one file: the second one's timestamps jump back to the beginning."""
    once = footage("once.ts", SHORT).read_bytes()
    source = tmp_path / "twice.ts"
    source.write_bytes(once + once)
    vod = packaged(source)
    assert vod.was_video_transcoded
    seen = look(joined(vod, tmp_path))
    assert vod.duration_ms == pytest.approx(6000, abs=70)
    numbers = [
        n for n, before in zip(seen.numbers, [-1, *seen.numbers], strict=False) if n != before
    ]
    assert numbers == [*range(90), *range(90)]
    np.testing.assert_allclose(np.diff(seen.times), 1 / 30, atol=1e-4)
    assert max(map(abs, seen.beep_lag[1:])) < 0.05


def test_a_picture_that_changes_its_size_midway_keeps_the_first_size(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = tmp_path / "sizes.ts"
    larger = footage("larger.ts", replace(SHORT, size=(480, 270)))
    source.write_bytes(footage("once.ts", SHORT).read_bytes() + larger.read_bytes())
    vod = packaged(source)
    assert "format changes midway" in vod.why[0]
    assert (vod.width, vod.height) == (320, 180)
    assert vod.duration_ms == pytest.approx(6000, abs=70)


def test_open_gops_stay_in_one_segment(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    """Their keyframes are no IDR frames: from there a player lacks what leading pictures need."""
    options = "preset=ultrafast;g=60;bf=2;x264-params=open-gop=1"
    vod = packaged(footage("open.mp4", Recipe(seconds=8, options=options)))
    assert not vod.was_transcoded
    assert [segment.duration_ms for segment in vod.segments] == [8000]
    assert look(joined(vod, tmp_path)).numbers == list(range(240))


def test_frames_that_an_edit_list_hides_stay_hidden(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    """ffmpeg cuts between keyframes by copying the whole GOP and hiding its beginning."""
    cut = tmp_path / "cut.mp4"
    command = [
        find_ffmpeg(),
        "-v",
        "error",
        "-ss",
        "2.5",
        "-i",
        footage("plain9.mp4", Recipe(seconds=6)),
    ]
    subprocess.run([*command, "-c", "copy", cut], check=True)
    vod = packaged(cut)
    assert "edit list hides" in vod.why[0]
    seen = look(joined(vod, tmp_path))
    assert seen.numbers == list(range(75, 180))
    assert seen.times[0] == 0
    assert seen.beep_lag[-1] == pytest.approx(0, abs=0.002)


def test_an_interlaced_picture_is_woven_into_whole_frames(
    footage: Footage, packaged: Packager
) -> None:
    options = "flags=+ilme+ildct"
    recipe = Recipe(seconds=2, codec="mpeg2video", options=options, audio_codec="mp2")
    vod = packaged(footage("interlaced.ts", recipe))
    assert "it is interlaced" in vod.why[0]
    assert vod.frame_rate == 30


@pytest.fixture
def plain(footage: Footage, tmp_path: Path) -> Probe:
    return probe(footage("plain.mp4", SHORT), media_settings(tmp_path))


def _video(plain: Probe, **changes: object) -> VideoStream:
    assert plain.video is not None
    return replace(plain.video, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codec": "hevc"}, "HEVC"),
        ({"pixel_format": "yuv444p"}, "yuv444p"),
        ({"codec_string": None}, "header is broken"),
        ({"rotation_degrees": 270}, "turned by 270°"),
        ({"is_mirrored": True}, "mirrored"),
        ({"is_interlaced": True}, "interlaced"),
        ({"hidden_frames": 7}, "hides 7 frames"),
        ({"timestamp_fault": "timestamps jump backwards"}, "jump backwards"),
        ({"start_fault": "no frame is an IDR frame"}, "IDR"),
        ({"has_changing_parameters": True}, "changes midway"),
        ({"longest_gop_ms": 61_000}, "61 s apart"),
    ],
)
def test_each_fault_of_the_picture_has_it_encoded_and_is_named(
    changes: dict[str, object], words: str, plain: Probe
) -> None:
    assert decide.video_faults(_video(plain)) == []
    plan = decide.plan(replace(plain, video=_video(plain, **changes)), "film.mp4")
    assert plan.encode_video
    assert not plan.encode_audio
    assert words in plan.why[0]


def test_of_several_sound_tracks_the_default_then_the_first_usable_one_is_taken(
    plain: Probe,
) -> None:
    (track,) = plain.audio
    first = replace(track, index=1, is_default=False)
    default = replace(track, index=2)
    broken = replace(track, index=3, fault=decide.UNDECODABLE, codec="dts")

    def chosen(*tracks: AudioStream) -> int | None:
        audio, _ = decide.choose_audio(tracks)
        return None if audio is None else audio.index

    assert chosen(first, default) == 2
    assert chosen(first, replace(default, is_default=False)) == 1
    assert chosen(broken, first) == 1
    assert chosen(broken) is None
    assert chosen() is None
    assert decide.choose_audio((broken,))[1] == [
        "The sound (dts) cannot be decoded; the video is silent."
    ]


def test_a_file_without_a_frame_is_no_video(plain: Probe) -> None:
    with pytest.raises(NoVideo, match="only sound"):
        decide.plan(replace(plain, video=None), "film.mp4")
    with pytest.raises(NoVideo, match="nothing that can be shown"):
        decide.plan(replace(plain, video=None, audio=()), "film.mp4")


def test_sound_that_outlasts_the_picture_is_mentioned(plain: Probe) -> None:
    longer = replace(plain.audio[0], ends_before_ms=-3200)
    plan = decide.plan(replace(plain, audio=(longer,)), "film.mp4")
    assert plan.notes == (
        "The sound goes on for 3.2 s after the last picture; that part was left out.",
    )
