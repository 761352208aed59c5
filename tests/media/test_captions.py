"""Subtitles of a video file become captions on the VOD's time, or it is said why not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from aethex.media.captions import captions_label
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.hls import package
from aethex.media.webvtt import Cue
from aethex.settings import Settings
from tests.media.captioned import with_cea_608, with_picture_subtitles, with_subtitles
from tests.media.footage import Recipe, make

HELLO = Cue(1000, 2500, "Hello <i>there</i>")
TWO = Cue(3000, 4000, "Two\nlines &amp; more")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe(seconds=5, options="preset=ultrafast;g=30;bf=0")
    return make(tmp_path_factory.mktemp("footage") / "plain.mp4", recipe)


@pytest.fixture
def plain() -> Settings:
    return Settings(_env_file=None)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "mov_text"), ("mkv", "srt"), ("mkv", "ass"), ("mkv", "webvtt")]
)
def test_text_tracks_of_each_container_become_captions(
    plain: Settings, video: Path, tmp_path: Path, suffix: str, codec: str
) -> None:
    source = with_subtitles(video, tmp_path / f"two.{suffix}", codec, ["eng", "ger"])
    packaged = package(source, tmp_path / "vod", settings=plain)
    assert [(one.language, one.label) for one in packaged.captions] == [
        ("en", "English"),
        ("de", "Deutsch"),
    ]
    assert [one.cues for one in packaged.captions] == [(HELLO, TWO)] * 2
    assert packaged.notes == (
        "Its subtitles in English became captions (2 cues).",
        "Its subtitles in Deutsch became captions (2 cues).",
    )


def test_a_source_whose_clock_begins_late_has_its_cues_in_the_vods_time(
    plain: Settings, video: Path, tmp_path: Path
) -> None:
    source = with_subtitles(video, tmp_path / "zero.mkv", "srt", ["eng", "eng"])
    late = tmp_path / "late.mkv"
    command = [str(find_ffmpeg()), "-v", "error", "-itsoffset", "7", "-i", str(source)]
    subprocess.run([*command, "-map", "0", "-c", "copy", "-copyts", str(late)], check=True)
    packaged = package(late, tmp_path / "vod", settings=plain)
    assert packaged.origin_seconds == 7
    assert [(one.language, one.cues) for one in packaged.captions] == [
        ("en", (HELLO, TWO)),
        ("en-x-2", (HELLO, TWO)),
    ]


def test_subtitles_that_are_pictures_are_left_out_and_named(
    plain: Settings, video: Path, tmp_path: Path
) -> None:
    source = with_picture_subtitles(video, tmp_path / "pictures.mkv")
    packaged = package(source, tmp_path / "vod", settings=plain)
    assert [one.language for one in packaged.captions] == ["en"]
    assert any(
        "(ger, pgssub) are pictures, not text, and were left out" in note for note in packaged.notes
    )


def test_captions_in_the_pictures_packets_stay_in_the_segments(
    plain: Settings, video: Path, tmp_path: Path
) -> None:
    source = with_cea_608(video, tmp_path / "cc.mp4", [(2.0, 3.0, "In the picture")])
    packaged = package(source, tmp_path / "vod", settings=plain)
    assert not packaged.was_transcoded
    held = b"".join((packaged.out_dir / one.name).read_bytes() for one in packaged.segments)
    assert held.count(b"\xb5\x00\x31GA94\x03") == 5 * 30


def test_labels_are_cut_to_what_can_be_shown() -> None:
    assert captions_label("de") == "Deutsch"
    assert captions_label("de", "  Für\x00 Gehörlose\n ") == "Für Gehörlose"
    assert len(captions_label("de", "x" * 500)) == 100
