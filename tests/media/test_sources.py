"""Playlists from outside: read only when all that they name lies beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aethex.media.errors import BadPlaylist, MediaError, MediaTooLarge
from aethex.media.hls import package
from aethex.media.sources import MasterPlaylist, MediaPlaylist, Part, parse_playlist, single_file
from tests.media.conftest import joined, media_settings
from tests.media.footage import Recipe, look

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n"


def join(playlist: Path, tmp_path: Path) -> bytes:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return single_file(
        playlist, scratch, media_settings(tmp_path, media_max_bytes=10_000)
    ).read_bytes()


def written(folder: Path, body: str, head: str = HEAD) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("a.ts", "b c.ts", "deep.ts"):
        (folder / name).write_bytes(name.encode())
    (folder / "deeper").mkdir(exist_ok=True)
    (folder / "deeper" / "d.ts").write_bytes(b"deeper")
    path = folder / "list.m3u8"
    path.write_text(head + body)
    return path


def test_segments_are_joined_in_order(tmp_path: Path) -> None:
    body = "a.ts\n#EXTINF:5,\nb%20c.ts?x=1\n\n# note\n#EXTINF:5,\ndeeper/d.ts\n#EXTINF:2,\na.ts\n"
    assert join(written(tmp_path / "p", body), tmp_path) == b"a.tsb c.tsdeepera.ts"


def test_byte_ranges_and_the_init_segment_are_honoured(tmp_path: Path) -> None:
    body = (
        '#EXT-X-MAP:URI="deep.ts",BYTERANGE="4@0"\n'
        "#EXT-X-BYTERANGE:2@1\nb c.ts\n#EXT-X-BYTERANGE:3\nb c.ts\n"
    )
    assert join(written(tmp_path / "p", body), tmp_path) == b"deep" + b" c" + b".ts"


@pytest.mark.parametrize(
    "line",
    [
        "../secret.ts",
        "%2e%2e/secret.ts",
        "/etc/passwd",
        "link.ts",
        "linked/secret.ts",
        "deeper/../../secret.ts",
    ],
)
def test_names_may_not_leave_the_folder(line: str, tmp_path: Path) -> None:
    (tmp_path / "secret.ts").write_text("secret")
    playlist = written(tmp_path / "p", f"#EXTINF:5,\na.ts\n#EXTINF:5,\n{line}\n")
    (tmp_path / "p" / "link.ts").symlink_to(tmp_path / "secret.ts")
    (tmp_path / "p" / "linked").symlink_to(tmp_path)
    with pytest.raises(BadPlaylist, match="outside its own folder"):
        join(playlist, tmp_path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("#EXTINF:5,\nhttp://127.0.0.1:1/a.ts\n", "address"),
        ("#EXTINF:5,\nfile:///etc/passwd\n", "address"),
        ("#EXTINF:5,\n//host/a.ts\n", "address"),
        ("#EXTINF:5,\nmissing.ts\n", "missing"),
        ("#EXTINF:5,\ndeeper\n", "missing"),
        ("#EXTINF:5,\n" + "x" * 5000 + "\n", "missing"),
        ("", "no segments"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:5,\na.ts\n', "encrypted"),
        ("#EXTINF:5,\na.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:5,\na.ts\n", "1 discontinuities"),
        ("#EXT-X-BYTERANGE:x\na.ts\n", "byte range"),
        ("#EXT-X-BYTERANGE:999@0\na.ts\n", "shorter"),
        ('#EXT-X-MAP:URI="a.ts"\na.ts\n#EXT-X-MAP:URI="deep.ts"\na.ts\n', "several init"),
    ],
)
def test_what_cannot_be_imported_is_said(body: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadPlaylist, match=words) as caught:
        join(written(tmp_path / "p", body), tmp_path)
    assert str(caught.value).startswith("list.m3u8: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_playlist_is_said(tmp_path: Path) -> None:
    for content in (b"hello", b"\xff\xfe\x00", b"#EXTM3U8\n"):
        path = tmp_path / "list.m3u8"
        path.write_bytes(content)
        with pytest.raises(BadPlaylist, match="no HLS playlist"):
            single_file(path, tmp_path, media_settings(tmp_path))


def test_a_segment_that_is_a_pipe_does_not_hang(tmp_path: Path) -> None:
    playlist = written(tmp_path / "p", "#EXTINF:5,\npipe.ts\n")
    os.mkfifo(tmp_path / "p" / "pipe.ts")
    with pytest.raises(BadPlaylist, match="missing"):
        join(playlist, tmp_path)


def test_segments_together_may_not_exceed_the_limit(tmp_path: Path) -> None:
    playlist = written(tmp_path / "p", "#EXTINF:5,\na.ts\n" * 3000)
    with pytest.raises((MediaTooLarge, MediaError), match="AETHEX_MEDIA_MAX_BYTES"):
        join(playlist, tmp_path)


def test_the_best_variant_of_a_master_playlist_is_taken(tmp_path: Path) -> None:
    written(tmp_path / "p", "#EXTINF:5,\na.ts\n")
    master = tmp_path / "p" / "master.m3u8"
    master.write_text(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=10,RESOLUTION=1x1\nlow.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=900,CODECS="avc1,mp4a"\nlist.m3u8\n'
    )
    assert join(master, tmp_path) == b"a.ts"


def test_a_master_playlist_says_whether_its_sound_is_apart() -> None:
    text = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="s.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=10,AUDIO="a"\nv.m3u8\n'
    )
    assert parse_playlist(text, "x") == MasterPlaylist("v.m3u8", True, "s.m3u8")
    assert parse_playlist(HEAD + "a.ts", "x") == MediaPlaylist((Part("a.ts"),))


def test_a_master_playlist_that_names_itself_ends(tmp_path: Path) -> None:
    master = tmp_path / "m.m3u8"
    master.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=10\nm.m3u8\n")
    with pytest.raises(BadPlaylist, match="again"):
        single_file(master, tmp_path, media_settings(tmp_path))


def test_our_own_package_can_be_imported_again(
    footage: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    """HLS fMP4 as source: an init segment and media segments."""
    settings = media_settings(tmp_path)
    source = footage("cut.mp4", Recipe(seconds=3))
    once = package(source, tmp_path / "once", settings=settings)
    twice = package(once.out_dir / once.playlist_name, tmp_path / "twice", settings=settings)
    assert not twice.was_transcoded
    assert look(joined(twice, tmp_path)) == look(joined(once, tmp_path))


def test_a_segment_that_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"list\.m3u8"):
        package(
            written(tmp_path / "p", "#EXTINF:5,\na.ts\n"),
            tmp_path / "out",
            settings=media_settings(tmp_path),
        )
    assert not (tmp_path / "out").exists()
