"""Packaging, proven on footage whose frames carry their numbers and whose seconds beep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from aethex.media.hls import package
from aethex.settings import Settings
from tests.media.conftest import Packager, joined
from tests.media.footage import Recipe, Seen, look, make

Footage = Callable[[str, Recipe], Path]

THIRTY = Recipe(seconds=9)
NTSC = Recipe(seconds=7, rate=Fraction(30_000, 1001))
SIXTY = Recipe(rate=Fraction(60), seconds=5)
VARYING = Recipe(seconds=6, frame_times=tuple(n * 40 + n * n * 7 % 37 for n in range(150)))


@pytest.mark.parametrize(
    ("name", "recipe", "rate"),
    [
        ("b-frames.mp4", THIRTY, 30),
        ("transport.ts", THIRTY, 30),
        ("rounded.mkv", NTSC, 30_000 / 1001),
        ("milliseconds.flv", SIXTY, 60),
        ("fragmented.mov", Recipe(seconds=6, movflags="frag_keyframe+empty_moov"), 30),
        (
            "high-delay.mp4",
            Recipe(seconds=6, options="preset=ultrafast;g=70;bf=3;b-pyramid=normal"),
            30,
        ),
    ],
)
def test_copying_keeps_every_frame_in_order_at_uniform_times_and_in_sync(
    name: str, recipe: Recipe, rate: float, footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = footage(name, recipe)
    before = look(source)
    vod = packaged(source)
    assert not vod.was_transcoded, vod.why
    for copy in (joined(vod, tmp_path), vod.out_dir / vod.mp4.name):
        after = look(copy)
        assert after.numbers == before.numbers == list(range(len(before.numbers)))
        np.testing.assert_allclose(after.times, np.arange(len(after.times)) / rate, atol=1e-4)
        _assert_in_sync(before, after)
    assert vod.frame_rate == pytest.approx(rate)
    assert not vod.is_variable_frame_rate
    assert vod.pts_origin == 0


def test_a_varying_frame_rate_stays_as_it_is(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = footage("varying.mp4", VARYING)
    before = look(source)
    vod = packaged(source)
    after = look(joined(vod, tmp_path))
    assert not vod.was_transcoded
    assert vod.is_variable_frame_rate
    assert after.numbers == before.numbers
    np.testing.assert_allclose(after.times, before.times, atol=1e-4)
    _assert_in_sync(before, after)


def test_copied_packets_are_bit_identical(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = footage("b-frames.mp4", THIRTY)
    vod = packaged(source)
    for copy in (joined(vod, tmp_path), vod.out_dir / vod.mp4.name):
        assert _packet_digests(copy, "video") == _packet_digests(source, "video")
        # The first packets of the sound are its encoder's run-in, before the first frame.
        kept = _packet_digests(copy, "audio")
        assert kept == _packet_digests(source, "audio")[-len(kept) :]
        assert len(kept) >= 9 * 48_000 / 1024 - 1


def test_transport_streams_keep_every_slice_byte_for_byte(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = footage("transport.ts", THIRTY)
    vod = packaged(source)
    assert _slices(joined(vod, tmp_path)) == _slices(source)


def test_each_segment_begins_with_an_idr_frame_at_its_stated_time(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    vod = packaged(footage("b-frames.mp4", THIRTY))
    for segment in vod.segments:
        part = tmp_path / "part.mp4"
        init, media = vod.out_dir / vod.init.name, vod.out_dir / segment.name
        part.write_bytes(init.read_bytes() + media.read_bytes())
        with av.open(part) as opened:
            first = next(p for p in opened.demux(video=0) if p.size)
            assert first.is_keyframe
            assert first.pts is not None
            assert round(first.pts * first.time_base * 1000) == segment.start_ms
        seen = look(part)
        assert seen.numbers[0] == round(segment.start_ms * 30 / 1000)
        assert len(seen.numbers) == round(segment.duration_ms * 30 / 1000)


def test_segments_add_up_to_the_duration_without_drift(
    packaged: Packager, footage: Footage
) -> None:
    vod = packaged(footage("rounded.mkv", NTSC))
    position = 0
    for segment in vod.segments:
        assert segment.start_ms == position
        position += segment.duration_ms
    assert position == vod.duration_ms == round(209 * 1001 / 30)


def test_what_is_said_of_the_files_is_true(packaged: Packager, footage: Footage) -> None:
    vod = packaged(footage("b-frames.mp4", THIRTY))
    for file in (vod.init, vod.poster, vod.mp4, *vod.segments):
        content = (vod.out_dir / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    written = {path.name for path in vod.out_dir.iterdir()}
    listed = {file.name for file in (vod.init, vod.poster, vod.mp4, *vod.segments)}
    assert written == listed | {vod.playlist_name}
    assert (vod.width, vod.height, vod.has_audio) == (320, 180, True)
    assert vod.codecs.startswith("avc1.")
    assert vod.codecs.endswith(",mp4a.40.2")


def test_the_download_has_its_index_in_front(packaged: Packager, footage: Footage) -> None:
    vod = packaged(footage("b-frames.mp4", THIRTY))
    content = (vod.out_dir / vod.mp4.name).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_the_poster_shows_the_segment_at_a_quarter(packaged: Packager, footage: Footage) -> None:
    vod = packaged(footage("b-frames.mp4", THIRTY))
    with av.open(vod.out_dir / vod.poster.name) as opened:
        picture = next(opened.decode(video=0))
    assert (picture.width, picture.height) == (320, 180)


def test_real_footage_with_gops_from_frames_to_ten_seconds(
    shared_data: Path, packaged: Packager, tmp_path: Path
) -> None:
    file = packaged(shared_data / "video" / "bbb_100s_h264_aac.mp4")
    assert (file.duration_ms, file.was_transcoded) == (100_000, False)
    durations = [segment.duration_ms for segment in file.segments]
    assert sum(1 for duration in durations if 2000 <= duration <= 6000) >= len(durations) - 6
    assert max(durations) == 10_000  # a GOP of its own
    hls = packaged(shared_data / "video" / "bbb_hls_100s" / "full.m3u8")
    assert [s.duration_ms for s in hls.segments] == durations
    assert _slices(joined(hls, tmp_path)) == _slices(joined(file, tmp_path))


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe(seconds=6, audio_from=3), "begins 2.98 s after the picture"),
        (Recipe(seconds=6, audio_hole=(2, 4)), "timestamps are off"),
        (Recipe(seconds=6, audio_hole=(3, 6)), "ends 2.99 s before the picture"),
    ],
)
def test_missing_sound_becomes_silence_and_the_rest_stays_in_sync(
    recipe: Recipe, reason: str, footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = footage("holes.mkv", recipe)
    before = look(source)
    vod = packaged(source)
    assert (vod.was_video_transcoded, vod.was_audio_transcoded) == (False, True)
    assert reason in vod.why[0]
    after = look(joined(vod, tmp_path))
    assert after.numbers == before.numbers
    _assert_in_sync(before, after)
    assert after.sound_end == pytest.approx(vod.duration_ms / 1000, abs=0.05)
    assert _packet_digests(joined(vod, tmp_path), "video") == _packet_digests(source, "video")


def test_a_silent_video_is_a_video(footage: Footage, packaged: Packager, tmp_path: Path) -> None:
    vod = packaged(footage("silent.mp4", Recipe(seconds=5, audio_codec=None)))
    assert (vod.has_audio, vod.was_transcoded) == (False, False)
    assert "mp4a" not in vod.codecs
    assert look(joined(vod, tmp_path)).numbers == list(range(150))


def test_only_odd_sound_is_encoded(footage: Footage, packaged: Packager, tmp_path: Path) -> None:
    source = footage("opus.mkv", Recipe(seconds=3, audio_codec="libopus"))
    before = look(source)
    vod = packaged(source)
    assert (vod.was_video_transcoded, vod.was_audio_transcoded) == (False, True)
    assert "opus" in vod.why[0]
    after = look(joined(vod, tmp_path))
    assert after.numbers == before.numbers
    _assert_in_sync(before, after)
    assert _packet_digests(joined(vod, tmp_path), "video") == _packet_digests(source, "video")


@pytest.mark.parametrize(
    ("name", "recipe", "reason"),
    [
        ("hevc.mp4", Recipe(seconds=2, codec="libx265", options="preset=ultrafast"), "HEVC"),
        ("ten-bit.mp4", Recipe(seconds=2, pixel_format="yuv420p10le"), "yuv420p10le"),
        (
            "vp8.webm",
            Recipe(
                seconds=2,
                codec="libvpx",
                options="cpu-used=8;deadline=realtime;threads=2",
                audio_codec="libopus",
            ),
            "VP8",
        ),
        (
            "mpeg2.ts",
            Recipe(seconds=2, codec="mpeg2video", options="q=3", audio_codec="mp2"),
            "MPEG-2",
        ),
    ],
)
def test_what_browsers_cannot_play_is_encoded_frame_for_frame_and_in_sync(
    name: str, recipe: Recipe, reason: str, footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    source = footage(name, recipe)
    before = look(source)
    vod = packaged(source)
    assert vod.was_video_transcoded
    assert reason in vod.why[0]
    after = look(joined(vod, tmp_path))
    assert after.numbers == before.numbers == list(range(60))
    np.testing.assert_allclose(after.times, np.arange(60) / 30, atol=1e-4)
    _assert_in_sync(before, after)
    assert vod.codecs.startswith("avc1.64")


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture_is_stored_upright(
    degrees: int, footage: Footage, packaged: Packager
) -> None:
    vod = packaged(footage("turned.mp4", Recipe(seconds=2, rotation=degrees)))
    assert vod.was_video_transcoded
    assert "turned" in vod.why[0]
    assert (vod.width, vod.height) == ((320, 180) if degrees == 180 else (180, 320))
    with av.open(vod.out_dir / vod.mp4.name) as opened:
        frame = next(opened.decode(video=0))
        assert frame.rotation == 0
        luma = frame.reformat(format="gray").to_ndarray()
    # ffmpeg's own upright picture, turned back, shows the number again.
    turned_back = np.rot90(luma, -degrees // 90)
    assert turned_back[48:64, 16:32].mean() > 125  # the flash of frame 0
    with av.open(vod.out_dir / vod.poster.name) as opened:
        poster = next(opened.decode(video=0))
        assert (poster.width, poster.height) == (vod.width, vod.height)


def test_progress_rises_to_the_end_and_names_its_stage(
    footage: Footage, tmp_path: Path, settings: Settings
) -> None:
    source = footage("opus.mkv", Recipe(seconds=3, audio_codec="libopus"))
    reports: list[tuple[float, str]] = []
    package(
        source, tmp_path / "out", settings=settings, on_progress=lambda f, s: reports.append((f, s))
    )
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert list(dict.fromkeys(stage for _, stage in reports)) == [
        "reading",
        "encoding",
        "packaging",
    ]


def test_a_folder_that_holds_something_is_not_written_into(
    footage: Footage, tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        package(footage("b-frames.mp4", THIRTY), tmp_path / "out", settings=settings)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_may_be_there(footage: Footage, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "out").mkdir()
    vod = package(footage("b-frames.mp4", THIRTY), tmp_path / "out", settings=settings)
    assert (vod.out_dir / vod.playlist_name).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_default_sound_track_is_taken(tmp_path: Path, packaged: Packager) -> None:
    source = _with_two_tracks(tmp_path)
    vod = packaged(source)
    assert any("2 sound tracks" in note for note in vod.notes)
    assert vod.has_audio


def _with_two_tracks(folder: Path) -> Path:
    plain = make(folder / "plain.mp4", Recipe(seconds=3))
    target = folder / "two.mkv"
    with av.open(plain) as source, av.open(target, "w") as out:
        streams = [source.streams.video[0], source.streams.audio[0]]
        tracks = {stream.index: [out.add_stream_from_template(stream)] for stream in streams}
        tracks[streams[1].index].append(out.add_stream_from_template(streams[1]))
        for packet in source.demux(*streams):
            if packet.dts is None:
                continue
            data, times = bytes(packet), (packet.pts, packet.dts, packet.time_base)
            for track in tracks[packet.stream.index]:
                copy = av.Packet(data)
                copy.pts, copy.dts, copy.time_base = times
                copy.is_keyframe = packet.is_keyframe
                copy.stream = track
                out.mux(copy)
    return target


def _assert_in_sync(before: Seen, after: Seen) -> None:
    """Beeps fall on their flashes as they did in the source, within 2 ms.

    The first one is not judged: the sound's first packet has no predecessor to overlap with, so its
    first milliseconds fade in.
    """
    was = before.beep_lag[1:]
    now = after.beep_lag[-len(was) :]
    assert len(was) >= 1
    assert now == pytest.approx(was, abs=0.002)


def _packet_digests(path: Path, kind: str) -> list[str]:
    with av.open(path) as opened:
        stream = opened.streams.get({kind: 0})[0]
        return [hashlib.sha256(bytes(p)).hexdigest() for p in opened.demux(stream) if p.size]


def _slices(path: Path) -> list[str]:
    """Digests of the slices of each frame, in decode order, whatever wraps them."""
    from aethex.media import h264

    digests: list[str] = []
    with av.open(path) as opened:
        stream = opened.streams.video[0]
        is_mp4 = h264.is_avcc(stream.codec_context.extradata or b"")
        for packet in opened.demux(stream):
            data = bytes(packet)
            units = h264.split_length_prefixed(data, 4) if is_mp4 else h264.split_annex_b(data)
            kept = b"|".join(unit for unit in units if unit[0] & 31 in (1, 5))
            if kept:
                digests.append(hashlib.sha256(kept).hexdigest())
    return digests


def test_hdr_is_brought_to_what_common_screens_show(footage: Footage, packaged: Packager) -> None:
    """HEVC in 10 bit with the PQ transfer may not come out washed out and unlabelled."""
    tags = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    options = f"preset=ultrafast;x265-params={tags}"
    recipe = Recipe(seconds=1, codec="libx265", pixel_format="yuv420p10le", options=options)
    vod = packaged(footage("hdr.mp4", recipe))
    with av.open(vod.out_dir / vod.mp4.name) as opened:
        frame = next(opened.decode(video=0))
    bt709 = 1
    assert (frame.color_trc, frame.colorspace) == (bt709, bt709)
    assert frame.format.name == "yuv420p"
