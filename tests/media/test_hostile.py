"""Files made to do harm: each ends in one clear line, reads nothing else, and leaves nothing."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aethex.media.container import open_input
from aethex.media.errors import (
    MediaDiskFull,
    MediaError,
    MediaLimitExceeded,
    MediaTooLarge,
    NoVideo,
    UnreadableMedia,
)
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.hls import package
from aethex.media.probe import probe
from aethex.media.sandbox import Limits
from aethex.media.whitelist import ffmpeg_input_options
from tests.media.conftest import media_settings
from tests.media.footage import Recipe

SECRET = "the-secret-of-another-file"


def refusal(source: Path, folder: Path, **changes: object) -> MediaError:
    """The error that a source ends in; checks that it is clean and leaves nothing."""
    out = folder / "result"
    before = sorted(folder.rglob("*"))
    with pytest.raises(MediaError) as caught:
        package(source, out, settings=media_settings(folder / "data", **changes))
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    assert source.name in message
    assert sorted(folder.rglob("*")) == before
    return caught.value


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv", ".webm"])
def test_a_playlist_in_disguise_opens_no_other_file(
    tmp_path: Path, secret: Path, suffix: str
) -> None:
    source = tmp_path / f"movie{suffix}"
    source.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{secret}\n#EXTINF:5,\nsecret.txt\n#EXT-X-ENDLIST\n"
    )
    assert isinstance(refusal(source, tmp_path), UnreadableMedia)


def test_an_ffconcat_script_in_disguise_opens_no_other_file(tmp_path: Path, secret: Path) -> None:
    source = tmp_path / "movie.mp4"
    source.write_text(f"ffconcat version 1.0\nfile {secret.name}\nfile '{secret}'\n")
    assert isinstance(refusal(source, tmp_path), UnreadableMedia)


@pytest.mark.parametrize("kind", ["playlist", "script"])
def test_the_whitelists_alone_refuse_a_disguise_that_names_real_footage(
    kind: str, footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    """Without the sandbox around them: what is named could be opened and is sound."""
    (tmp_path / "real.ts").write_bytes(footage("cut.ts", Recipe(seconds=2)).read_bytes())
    name, text = {
        "playlist": (
            "movie.m3u8",  # this libav looks at the name too; others do not
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreal.ts\n#EXT-X-ENDLIST\n",
        ),
        "script": ("movie.mp4", "ffconcat version 1.0\nfile real.ts\n"),
    }[kind]
    source = tmp_path / name
    source.write_text(text)
    with av.open(source) as opened:
        assert opened.format.name in ("hls", "concat")  # it works as a disguise
    with pytest.raises(UnreadableMedia):
        open_input(source)
    command = [str(find_ffmpeg()), "-v", "quiet", *ffmpeg_input_options(), "-i", f"file:{source}"]
    assert subprocess.run([*command, "-f", "null", "-"], check=False).returncode != 0


def test_a_codec_that_nobody_needs_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "film.mkv"
    with av.open(source, "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(stream.encode(None))
    assert "ffv1" in str(refusal(source, tmp_path))


def test_a_dash_manifest_in_disguise_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "movie.mp4"
    source.write_text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        "<Period><BaseURL>http://127.0.0.1:1/</BaseURL></Period></MPD>"
    )
    assert isinstance(refusal(source, tmp_path), UnreadableMedia)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"Dear diary, this is no video.\n" * 50),
        ("zeros.ts", bytes(100_000)),
        ("page.webm", b"<!doctype html><title>404</title>"),
        ("image.mp4", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("boxes.mp4", struct.pack(">I4s", 8, b"moov") * 4000),
        ("deep.mp4", b"".join(struct.pack(">I4s", 2**31 - 1, b"moov") for _ in range(3000))),
    ],
)
def test_what_is_no_video_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    assert isinstance(refusal(source, tmp_path), UnreadableMedia | NoVideo)


def test_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert "a folder" in str(refusal(folder, tmp_path))
    assert "not a regular file" in str(refusal(pipe, tmp_path))
    assert "No such file" in str(refusal(tmp_path / "missing.mp4", tmp_path))


def test_addresses_are_refused(tmp_path: Path) -> None:
    for address in ("http://127.0.0.1:1/a.mp4", "https://example.org/full.m3u8", "ftp://h/a.mp4"):
        with pytest.raises(UnreadableMedia, match="download"):
            package(Path(address), tmp_path / "out", settings=media_settings(tmp_path))


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7, 0.97])
def test_a_truncated_file_is_packaged_up_to_there_or_refused(
    keep: float, footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    whole = footage("cut.mkv", Recipe(seconds=3)).read_bytes()
    source = tmp_path / "cut.mkv"
    source.write_bytes(whole[: int(len(whole) * keep)])
    try:
        vod = package(source, tmp_path / "out", settings=media_settings(tmp_path / "data"))
    except MediaError as refused:
        words = str(refused)
        assert "cut.mkv" in words
        assert [path.name for path in tmp_path.iterdir()] == ["cut.mkv"]
    else:
        assert 0 < vod.duration_ms <= 3000


def test_an_mp4_without_its_index_is_refused(
    footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    whole = footage("cut.mp4", Recipe(seconds=3)).read_bytes()
    source = tmp_path / "cut.mp4"
    source.write_bytes(whole[: len(whole) // 2])
    assert isinstance(refusal(source, tmp_path), UnreadableMedia)


@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    share=st.floats(0, 1),
    start=st.sampled_from([b"", b"ftyp", b"moov", b"\x1aE\xdf\xa3"]),
)
def test_random_bytes_end_in_one_line(
    seed: int, share: float, start: bytes, footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    """Noise, and real footage with noise strewn over it."""
    dice = random.Random(seed)
    if share < 0.4:
        content = struct.pack(">I", 32) + start + dice.randbytes(5000)
    else:
        name = "noise.mp4" if seed & 1 else "noise.ts"
        damaged = bytearray(footage(name, Recipe(seconds=2)).read_bytes())
        for _ in range(int(share * 400)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        content = bytes(damaged)
    source = tmp_path / "noise.mp4"
    source.write_bytes(content)
    try:
        seen = probe(source, media_settings(tmp_path / "data"))
    except MediaError as refused:
        words = str(refused)
        assert "\n" not in words
    else:
        assert seen.duration_ms >= 0


def test_a_gigantic_picture_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "huge.mp4"
    with av.open(source, "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height = 8400, 4400
        out.mux(stream.encode(av.VideoFrame(8400, 4400, "yuv420p")))
        out.mux(stream.encode(None))
    refused = refusal(source, tmp_path)
    assert isinstance(refused, UnreadableMedia)
    assert "8400x4400" in str(refused)


def test_a_picture_that_claims_another_size_than_it_has_is_harmless(
    footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    """The container says 65535 x 65535, the stream itself 320 x 180."""
    content = footage("cut.mp4", Recipe(seconds=3)).read_bytes()
    sizes = content.index(b"avc1", content.index(b"stsd")) + 4 + 24
    assert struct.unpack(">HH", content[sizes : sizes + 4]) == (320, 180)
    source = tmp_path / "claims.mp4"
    source.write_bytes(content[:sizes] + b"\xff\xff\xff\xff" + content[sizes + 4 :])
    try:
        vod = package(source, tmp_path / "out", settings=media_settings(tmp_path / "data"))
    except MediaError as refused:
        words = str(refused)
        assert "claims.mp4" in words
    else:
        assert (vod.width, vod.height) == (320, 180)


def test_a_large_video_is_refused_by_its_size(
    footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    source = footage("cut.mp4", Recipe(seconds=3))
    with pytest.raises(MediaTooLarge, match="AETHEX_MEDIA_MAX_BYTES"):
        package(source, tmp_path / "out", settings=media_settings(tmp_path, media_max_bytes=1000))


def test_too_little_memory_is_said(footage: Callable[[str, Recipe], Path], tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        package(
            footage("cut.mp4", Recipe(seconds=3)),
            tmp_path / "out",
            settings=media_settings(tmp_path, media_memory_bytes=150 * 1024**2),
        )
    assert "AETHEX_MEDIA_MEMORY_BYTES" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_too_little_time_is_said(footage: Callable[[str, Recipe], Path], tmp_path: Path) -> None:
    with pytest.raises(MediaLimitExceeded, match="AETHEX_MEDIA_TIMEOUT_SECONDS"):
        package(
            footage("cut.mp4", Recipe(seconds=3)),
            tmp_path / "out",
            settings=media_settings(tmp_path, media_timeout_seconds=0.01),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "recipe",
    [Recipe(seconds=3), Recipe(seconds=3, pixel_format="yuv420p10le")],
    ids=["copied", "encoded"],
)
def test_a_full_disk_is_said_and_leaves_nothing(
    recipe: Recipe,
    footage: Callable[[str, Recipe], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files may not grow beyond 100 kB, which is how a full disk looks to the child."""

    def small(cls: type[Limits], settings: object) -> Limits:  # noqa: ARG001
        return Limits(2**32, 100_000, 60.0)

    monkeypatch.setattr(Limits, "of", classmethod(small))
    with pytest.raises(MediaDiskFull, match="free some space"):
        package(footage("full.mp4", recipe), tmp_path / "out", settings=media_settings(tmp_path))
    assert list(tmp_path.iterdir()) == []
