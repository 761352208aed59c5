"""Every odd file of the real input ends as a playable VOD or as a clear error, and nothing is left
over.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from aethex.media.errors import MediaError, NoVideo
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.hls import package
from aethex.settings import PROJECT_DIR
from tests.media.conftest import Packager, joined, media_settings


@dataclass(frozen=True)
class Playable:
    """What a file becomes: frames, duration, size, whether it has sound, and what was done."""

    frames: int
    duration_ms: int
    size: tuple[int, int]
    has_audio: bool
    video: str = "copied"
    audio: str = "copied"
    says: str = ""


PLAYABLE = {
    "lp_missing-dts.ts": Playable(120, 2000, (1920, 1080), False, says="4 frames carried no time"),
    "mb_cursed-vfr.mp4": Playable(63, 8726, (3026, 1386), False),
    "mb_edts.mp4": Playable(225, 9000, (854, 480), True),
    "mb_hevc.ts": Playable(120, 5000, (1920, 1080), True, video="encoded", says="HEVC"),
    "mb_no-initial-keyframe.ts": Playable(15, 500, (640, 352), True, says="first 63 frames"),
    "mb_rotate-buck-bunny.mp4": Playable(
        45, 1875, (1080, 1920), True, "encoded", says="turned by 90°"
    ),
    "mp_failing_audio.mp4": Playable(280, 11_200, (640, 360), True, audio="encoded", says="mp3"),
    "mp_no_duration.webm": Playable(74, 4938, (1280, 720), True, "encoded", "encoded", says="VP9"),
    "tc_av1_video.mkv": Playable(125, 5000, (640, 360), False, video="encoded", says="AV1"),
    "tc_h264_10bits.mp4": Playable(
        30, 1000, (200, 200), False, video="encoded", says="yuv420p10le"
    ),
}
REFUSED: dict[str, tuple[type[MediaError], str]] = {
    "lp_zero-frame.ts": (NoVideo, "only sound"),
    "mb_multiple-aac-tracks.mp4": (NoVideo, "only sound"),
}


@pytest.mark.parametrize("name", sorted(PLAYABLE))
def test_an_odd_file_becomes_a_vod_whose_frames_all_decode(
    name: str, shared_data: Path, packaged: Packager, tmp_path: Path
) -> None:
    expected = PLAYABLE[name]
    vod = packaged(shared_data / "video" / "odd" / name)
    assert (vod.duration_ms, (vod.width, vod.height)) == (expected.duration_ms, expected.size)
    assert vod.has_audio == expected.has_audio
    assert vod.was_video_transcoded == (expected.video == "encoded")
    assert vod.was_audio_transcoded == (expected.audio == "encoded")
    assert expected.says in " ".join((*vod.why, *vod.notes))
    for file in (joined(vod, tmp_path), vod.out_dir / vod.mp4.name):
        assert decoded_frames(file) == expected.frames


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_file_without_a_picture_is_refused_and_leaves_nothing(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    kind, words = REFUSED[name]
    with pytest.raises(kind) as caught:
        package(
            shared_data / "video" / "odd" / name,
            tmp_path / "out",
            settings=media_settings(tmp_path),
        )
    message = str(caught.value)
    assert name in message
    assert words in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_every_odd_file_has_an_outcome_here_and_in_the_documentation(shared_data: Path) -> None:
    files = {path.name for path in (shared_data / "video" / "odd").iterdir()}
    assert files == PLAYABLE.keys() | REFUSED.keys()
    rows = dict(
        re.findall(
            r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|",
            (PROJECT_DIR / "docs/media.md").read_text(),
            re.M,
        )
    )
    assert {name: outcome.strip() for name, outcome in rows.items() if name in files} == {
        **dict.fromkeys(PLAYABLE, "plays"),
        **dict.fromkeys(REFUSED, "refused"),
    }


def decoded_frames(path: Path) -> int:
    """How many frames ffmpeg decodes; fails when it has anything to complain about."""
    done = subprocess.run(
        [
            *(
                find_ffmpeg(),
                "-nostdin",
                "-v",
                "error",
                "-xerror",
                "-i",
                path,
                "-map",
                "0:v",
                "-map",
                "0:a?",
            ),
            *("-fps_mode", "passthrough", "-f", "null", "-progress", "pipe:1", "-"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    # The null muxer counts in frames, so times that vary wildly collide in it; that is its own
    # matter.
    about_null = ("[null @", "Last message repeated")
    complaints = [
        line for line in done.stderr.splitlines() if not line.strip().startswith(about_null)
    ]
    assert complaints == []
    return int(re.findall(r"^frame=(\d+)", done.stdout, re.M)[-1])
