"""A live stream as runs of segments: where they begin and end, and that nothing is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.media.errors import UnplayableCodec, UnreadableMedia
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.flv import (
    AudioConfig,
    AudioFrame,
    Event,
    FlvReader,
    OtherSound,
    VideoConfig,
    VideoFrame,
)
from aethex.media.record import (
    RunEnded,
    RunSeen,
    RunStarted,
    SegmentBytes,
    SegmentClosed,
    Segmenter,
)

SECONDS = 10
FRAMES = SECONDS * 30


@dataclass
class Run:
    """What was written of a run."""

    started: RunStarted
    segments: list[SegmentClosed] = field(default_factory=list)
    data: bytes = b""
    why: str = ""


def recorded(events: Iterable[Event]) -> list[Run]:
    """The runs that a stream becomes."""
    segmenter = Segmenter()
    outputs = [output for event in events for output in segmenter.add(event)]
    outputs += segmenter.end()
    runs: list[Run] = []
    for output in outputs:
        match output:
            case RunStarted():
                runs.append(Run(output))
            case SegmentBytes():
                runs[-1].data += b"".join(output.parts)
            case SegmentClosed():
                runs[-1].segments.append(output)
            case RunEnded() if runs:
                runs[-1].why = output.why
            case _:
                pass
    return runs


def pictures(data: bytes, kind: str = "mp4") -> list[str]:
    """Presentation time and digest of each picture that ffmpeg decodes, without a complaint."""
    command = f"{find_ffmpeg()} -v warning -f {kind} -i - -map 0:v -fps_mode passthrough"
    answer = subprocess.run(
        [*command.split(), *["-enc_time_base", "1:1000", "-f", "framemd5", "-"]],
        input=data,
        capture_output=True,
        check=True,
    )
    assert answer.stderr == b""
    lines = [line.split(",") for line in answer.stdout.decode().splitlines() if line[0] != "#"]
    return [f"{parts[2].strip()} {parts[5].strip()}" for parts in lines]


def shifted(frame: Event, by_ms: int) -> Event:
    """The same on an encoder's clock that is so much ahead."""
    if isinstance(frame, VideoFrame):
        return replace(frame, dts_ms=frame.dts_ms + by_ms, pts_ms=frame.pts_ms + by_ms)
    if isinstance(frame, AudioFrame):
        return replace(frame, pts_ms=frame.pts_ms + by_ms)
    return frame


def lengths(runs: Sequence[Run]) -> list[list[int]]:
    return [[one.duration_ms for one in run.segments] for run in runs]


@pytest.fixture(scope="module")
def flv(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Ten seconds with B-frames and a keyframe every two seconds, and sound."""
    path = tmp_path_factory.mktemp("flv") / "live.flv"
    command = (
        f"{find_ffmpeg()} -v error -f lavfi -i testsrc2=size=192x108:rate=30 -f lavfi -i sine=b=4"
        f" -t {SECONDS} -c:v libx264 -preset veryfast -bf 2 -g 60 -pix_fmt yuv420p -c:a aac -f flv"
    )
    subprocess.run([*command.split(), str(path)], check=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def events(flv: bytes) -> list[Event]:
    return list(FlvReader().feed(flv))


def test_every_picture_is_there_at_its_time_and_nothing_was_changed(
    flv: bytes, events: list[Event]
):
    (run,) = recorded(events)
    assert lengths([run]) == [[4000, 4000, 2000]]
    assert [one.start_ms for one in run.segments] == [0, 4000, 8000]
    assert sum(one.frames for one in run.segments) == FRAMES
    assert all(one.is_independent for one in run.segments)
    sent = [line.split() for line in pictures(flv, "flv")]
    expected = [f"{int(at) - int(sent[0][0])} {digest}" for at, digest in sent]
    assert pictures(run.started.init + run.data) == expected
    assert (run.started.width, run.started.height) == (192, 108)
    assert run.started.codecs.startswith("avc1.64")
    assert run.started.codecs.endswith(",mp4a.40.2")


def test_a_clock_of_32_bits_that_begins_anew_is_no_jump(flv: bytes, events: list[Event]):
    """After 49.7 days; an encoder that counts from its own start comes there in any stream."""
    (run,) = recorded(FlvReader().feed(later(flv, 2**32 - 5_000)))
    assert lengths([run]) == lengths(recorded(events))
    assert sum(one.frames for one in run.segments) == FRAMES


def later(flv: bytes, by_ms: int) -> bytes:
    """The same FLV by a clock that is so much ahead."""
    moved, at = bytearray(flv), 13
    while at < len(flv):
        low, high = moved[at + 4 : at + 7], moved[at + 7 : at + 8]
        time = (int.from_bytes(high + low, "big") + by_ms) % 2**32
        moved[at + 4 : at + 7], moved[at + 7] = (time & 0xFFFFFF).to_bytes(3, "big"), time >> 24
        at += 11 + int.from_bytes(flv[at + 1 : at + 4], "big") + 4
    return bytes(moved)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_the_pieces_that_a_network_makes_are_no_matter(sizes: list[int]):
    whole = _tags(events=[(9, 0, b"\x17\x00\0\0\0avcc"), (8, 5, b"\xaf\x01sound")] * 50)
    reader, found, position = FlvReader(), [], 0
    while position < len(whole):
        size = sizes[position % len(sizes)]
        found += reader.feed(whole[position : position + size])
        position += size
    assert found == [VideoConfig(b"avcc"), AudioFrame(5, b"sound")] * 50


def test_a_new_size_begins_a_new_run_at_its_keyframe(events: list[Event]):
    other = VideoConfig(bytes([*_avcc(events)[:-1], _avcc(events)[-1] ^ 1]))
    changed = _insert(events, before_ms=4000, event=other)
    runs = recorded(changed)
    assert lengths(runs) == [[4000], [4000, 2000]]
    assert [run.why for run in runs] == ["format", "end"]


@pytest.mark.parametrize("jump_ms", [3 * 3_600_000, -5_000])
def test_a_clock_that_jumps_begins_a_new_run(events: list[Event], jump_ms: int):
    moved = [
        shifted(one, 100_000 + (jump_ms if at >= 6000 else 0)) for at, one in _with_times(events)
    ]
    runs = recorded(moved)
    assert [run.why for run in runs] == ["jump", "end"]
    assert sum(sum(run) for run in lengths(runs)) == pytest.approx(SECONDS * 1000, abs=34)
    assert [len(pictures(run.started.init + run.data)) for run in runs] == [180, 120]


def test_frames_that_were_dropped_for_some_seconds_are_a_still_picture(events: list[Event]):
    kept = [one for at, one in _with_times(events) if not 5000 <= at < 8000]
    (run,) = recorded(kept)
    assert sum(lengths([run])[0]) == SECONDS * 1000
    assert len(pictures(run.started.init + run.data)) == FRAMES - 90


def test_small_steps_back_are_smoothed(events: list[Event]):
    moved = [shifted(one, -120 if at >= 6000 else 0) for at, one in _with_times(events)]
    (run,) = recorded(moved)
    assert sum(one.frames for one in run.segments) == FRAMES


def test_without_sound_there_is_a_silent_track(events: list[Event]):
    silent = [one for one in events if not isinstance(one, AudioConfig | AudioFrame)]
    (run,) = recorded(silent)
    assert not run.started.has_sound
    assert _sound_seconds(run) == pytest.approx(SECONDS, abs=0.05)


def test_sound_that_comes_late_begins_a_new_run(events: list[Event]):
    late = [
        one
        for at, one in _with_times(events)
        if at >= 5000 or not isinstance(one, AudioConfig | AudioFrame)
    ]
    config = next(one for one in events if isinstance(one, AudioConfig))
    runs = recorded(_insert(late, before_ms=5000, event=config))
    assert [run.started.has_sound for run in runs] == [False, True]
    assert lengths(runs) == [[4000, 2000], [4000]]
    assert [_sound_seconds(run) for run in runs] == [
        pytest.approx(6, abs=0.05),
        pytest.approx(4, abs=0.1),
    ]


def test_sound_that_stops_goes_on_as_silence(events: list[Event]):
    stopped = [
        one for at, one in _with_times(events) if not isinstance(one, AudioFrame) or at < 2500
    ]
    (run,) = recorded(stopped)
    assert _sound_seconds(run) == pytest.approx(8, abs=2.1)
    assert sum(one.frames for one in run.segments) == FRAMES


def test_sound_that_was_behind_at_the_end_is_silence_up_to_it(events: list[Event]):
    cut_off = [
        one
        for at, one in _with_times(events)
        if not isinstance(one, AudioFrame) or at < SECONDS * 1000 - 400
    ]
    (run,) = recorded(cut_off)
    picture_seconds = sum(one.duration_ms for one in run.segments) / 1000
    assert _sound_seconds(run) == pytest.approx(picture_seconds, abs=0.025)


def test_a_hole_in_the_sound_is_filled(events: list[Event]):
    holed = [
        one
        for at, one in _with_times(events)
        if not isinstance(one, AudioFrame) or not 3000 <= at < 5000
    ]
    (run,) = recorded(holed)
    assert _sound_seconds(run) == pytest.approx(SECONDS, abs=0.1)


def test_sound_that_is_no_aac_is_left_out_and_named(events: list[Event]):
    segmenter = Segmenter()
    for event in events:
        other = OtherSound("MP3") if isinstance(event, AudioFrame) else event
        list(segmenter.add(other))
    assert segmenter.left_out == {"MP3"}


def test_an_encoder_without_keyframes_is_cut_all_the_same(events: list[Event]):
    """One keyframe at the start, then none for 40 seconds."""
    config = VideoConfig(_avcc(events))
    key = next(one for one in events if isinstance(one, VideoFrame))
    later = next(one for one in events if isinstance(one, VideoFrame) and not one.is_key)
    frames = [replace(later, dts_ms=n * 100, pts_ms=n * 100) for n in range(1, 400)]
    (run,) = recorded([config, replace(key, dts_ms=0, pts_ms=0), *frames])
    assert [one.is_independent for one in run.segments] == [True, False]
    assert lengths([run]) == [[30_000, 10_000]]


def test_before_the_first_keyframe_nothing_can_be_shown(events: list[Event]):
    late = [one for at, one in _with_times(events) if at >= 500 or isinstance(one, VideoConfig)]
    (run,) = recorded(late)
    assert lengths([run]) == [[4000, 4000]]
    for came, is_late in ((events, False), (late, True)):
        segmenter = Segmenter()
        outputs = [output for event in came for output in segmenter.add(event)]
        assert [one for one in outputs if isinstance(one, RunSeen)] == [RunSeen(is_late)]


def test_pictures_that_browsers_do_not_play_are_refused():
    for tag in (b"\x1c\x00\0\0\0", b"\x80hvc1", b"\x90av01"):
        with pytest.raises(UnplayableCodec, match="set the encoder to H"):
            list(FlvReader().feed(_tags([(9, 0, tag)])))


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + b"x" * 20]
)
def test_what_is_no_flv_is_refused(data: bytes):
    with pytest.raises(UnreadableMedia):
        list(FlvReader().feed(data))


@given(st.binary(min_size=1, max_size=60), st.sampled_from([8, 9, 18]))
def test_no_tag_makes_it_fail_otherwise(body: bytes, kind: int):
    segmenter = Segmenter()
    try:
        for event in FlvReader().feed(_tags([(kind, 0, body)] * 3)):
            list(segmenter.add(event))
        list(segmenter.end())
    except (UnplayableCodec, UnreadableMedia):
        pass


def _tags(events: Sequence[tuple[int, int, bytes]]) -> bytes:
    """An FLV of these tags: (kind, time in ms, body)."""
    parts = [b"FLV\x01\x05\0\0\0\x09\0\0\0\0"]
    for kind, at_ms, body in events:
        head = bytes([kind]) + len(body).to_bytes(3, "big") + at_ms.to_bytes(3, "big") + bytes(4)
        parts += [head, body, (len(body) + 11).to_bytes(4, "big")]
    return b"".join(parts)


def _avcc(events: Iterable[Event]) -> bytes:
    return next(one.avcc for one in events if isinstance(one, VideoConfig))


def _with_times(events: Iterable[Event]) -> list[tuple[int, Event]]:
    """Each with its presentation time; a configuration's is 0."""
    time: Callable[[Event], int] = lambda one: getattr(one, "dts_ms", getattr(one, "pts_ms", 0))  # noqa: E731
    return [(time(one), one) for one in events]


def _insert(events: Iterable[Event], before_ms: int, event: Event) -> list[Event]:
    found = [*events]
    position = next(n for n, (at, _) in enumerate(_with_times(found)) if at >= before_ms)
    return [*found[:position], event, *found[position:]]


def _sound_seconds(run: Run) -> float:
    """How long the sound of a run is, decoded without a complaint."""
    command = f"{find_ffmpeg()} -v warning -f mp4 -i - -map 0:a -ac 1 -ar 8000 -f s16le -"
    answer = subprocess.run(
        command.split(), input=run.started.init + run.data, capture_output=True, check=True
    )
    assert answer.stderr == b""
    return len(answer.stdout) / 2 / 8000


def test_the_size_in_the_parameters_is_the_size_of_the_picture(tmp_path: Path):
    """Cropped, interlaced, with a pixel shape of its own: as ffmpeg reads it."""
    from aethex.media import h264

    for options, expected in (
        ("1918x1078", (1918, 1078, (1, 1))),
        ("720x576 -vf setsar=16/11 -flags +ilme+ildct", (720, 576, (16, 11))),
        ("640x360 -pix_fmt yuv444p", (640, 360, (1, 1))),
    ):
        path = tmp_path / "one.flv"
        pixels = "" if "444" in options else "-pix_fmt yuv420p"
        command = (
            f"{find_ffmpeg()} -y -v error -f lavfi -i color=gray:rate=5:size={options} -frames:v 1 "
            f"{pixels} -c:v libx264 -f flv {path}"
        )
        subprocess.run(command.split(), check=True)
        avcc = _avcc(FlvReader().feed(path.read_bytes()))
        size = h264.picture_size(h264.parse_avcc(avcc).sps[0])
        assert (size.width, size.height, size.aspect) == expected


@pytest.mark.parametrize("by_ms", [8_000_000, -8_000_000])
def test_a_picture_that_is_to_be_shown_in_hours_is_shown_when_it_is_decoded(
    events: list[Event], by_ms: int
):
    """One damaged offset would fill hours with silence, while all other streams wait."""
    fifth = [one for one in events if isinstance(one, VideoFrame)][4]
    late = replace(fifth, pts_ms=fifth.pts_ms + by_ms)
    damaged = [late if one is fifth else one for one in events]
    (run,) = recorded(damaged)
    assert sum(lengths([run])[0]) == SECONDS * 1000
    assert sum(one.frames for one in run.segments) == FRAMES


def test_a_clock_that_stands_still_fills_no_disk(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("aethex.media.record._MOST_SEGMENT_BYTES", 100_000)
    still = [shifted(one, -at) for at, one in _with_times(events)]
    with pytest.raises(UnreadableMedia, match="stands still"):
        recorded(still)


def test_sound_of_a_rate_that_does_not_exist_is_left_out(events: list[Event]):
    """Silence in a hole would be millions of frames."""
    megahertz = AudioConfig(((2 << 43) | (15 << 39) | (0xFFFFFF << 15) | (2 << 11)).to_bytes(6))
    odd = [megahertz if isinstance(one, AudioConfig) else one for one in events]
    (run,) = recorded(odd)
    assert not run.started.has_sound
    assert len(run.data) < 1_000_000
