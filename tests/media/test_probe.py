"""What the probe says of files whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from aethex.media.probe import Probe, probe
from tests.media.conftest import media_settings
from tests.media.footage import Recipe
from tests.media.test_hls import NTSC, THIRTY, VARYING, Footage

Look = Callable[[Path], Probe]


@pytest.fixture
def seen(tmp_path: Path) -> Look:
    return lambda path: probe(path, media_settings(tmp_path))


def test_a_plain_file(footage: Footage, seen: Look) -> None:
    found = seen(footage("b-frames.mp4", THIRTY))
    video = found.video
    assert video is not None
    assert (found.container, found.duration_ms) == ("mov,mp4,m4a,3gp,3g2,mj2", 9000)
    assert (video.codec, video.width, video.height, video.pixel_format) == (
        "h264",
        320,
        180,
        "yuv420p",
    )
    assert (video.frames, video.frame_rate, video.is_variable_frame_rate) == (270, 30, False)
    assert video.keyframes_ms == (0, 2000, 4000, 6000, 8000)
    assert video.longest_gop_ms == 2000
    assert (video.leading_frames, video.hidden_frames, video.repaired_timestamps) == (0, 0, 0)
    assert (video.timestamp_fault, video.start_fault, video.has_changing_parameters) == (
        None,
        None,
        False,
    )
    (audio,) = found.audio
    assert (audio.codec, audio.sample_rate, audio.channels, audio.fault) == ("aac", 48_000, 2, None)


def test_rates_are_fractions_of_a_thousand_and_one_or_vary(footage: Footage, seen: Look) -> None:
    rounded = seen(footage("rounded.mkv", NTSC)).video
    assert rounded is not None
    assert rounded.frame_rate == pytest.approx(30_000 / 1001)
    varying = seen(footage("varying.mp4", VARYING)).video
    assert varying is not None
    assert varying.is_variable_frame_rate


def test_a_transport_stream_keeps_its_own_clock(footage: Footage, seen: Look) -> None:
    video = seen(footage("transport.ts", THIRTY)).video
    assert video is not None
    assert video.origin_seconds > 0
    assert video.keyframes_ms[0] == 0


def test_the_answer_survives_the_way_between_processes(footage: Footage, seen: Look) -> None:
    found = seen(footage("b-frames.mp4", THIRTY))
    assert Probe.from_json(found.to_json()) == found
    assert isinstance(found.video and found.video.origin_seconds, Fraction)


def test_it_leaves_nothing_behind(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    probe(footage("silent.mp4", Recipe(seconds=5, audio_codec=None)), media_settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("lp_missing-dts.ts", {"frames": 120, "repaired_timestamps": 4, "frame_rate": 60}),
        ("mb_no-initial-keyframe.ts", {"leading_frames": 63, "frames": 15, "aspect": (44, 45)}),
        ("mb_rotate-buck-bunny.mp4", {"rotation_degrees": 90, "is_mirrored": False, "width": 1920}),
        ("mb_hevc.ts", {"codec": "hevc", "frames": 120, "codec_string": None}),
        (
            "tc_h264_10bits.mp4",
            {"pixel_format": "yuv420p10le", "profile": "High 10", "frame_rate": 30},
        ),
        ("tc_av1_video.mkv", {"codec": "av1", "frames": 125}),
        ("mb_cursed-vfr.mp4", {"is_variable_frame_rate": True, "frames": 63, "duration_ms": 8726}),
    ],
)
def test_odd_files(name: str, facts: dict[str, object], shared_data: Path, seen: Look) -> None:
    video = seen(shared_data / "video" / "odd" / name).video
    assert video is not None
    assert {fact: getattr(video, fact) for fact in facts} == facts
