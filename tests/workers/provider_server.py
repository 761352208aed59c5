"""A local stand-in for Cloudflare Stream and Mux, written from their documented API, with a network
that fails when the test says so.

What belongs here: their answers, and the HLS and MP4 that ffmpeg made. What does not: what the
platform makes of them.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av

from aethex.media.ffmpeg import find_ffmpeg
from tests.media.footage import Recipe, make

UID = "dd5d531a12de0c724bd1275a3b2bc9c6"
INPUT = "55b9b5ce48c3968c6b514c458959d6a"
ASSET = "SqQnqz6s5MBuXGvJaUWdXuXM93J9Q2yv"


@dataclass
class ProviderServer:
    """The server: what it has, how it fails, and what it was asked."""

    port: int
    folder: Path
    api: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Answers by (method, path); a function is called with the body. None: 404."""
    asked: Counter[str] = field(default_factory=Counter[str])
    """How often each path was asked for."""
    fails: dict[str, list[str]] = field(default_factory=dict)
    """By name of a file: how its next requests end, `500` or `half`."""
    on_file: Callable[[str], None] = lambda _name: None
    authorizations: set[str] = field(default_factory=set[str])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def files_sent(self, *suffixes: str) -> int:
        return sum(n for path, n in self.asked.items() if path.endswith(suffixes))


def make_hls(folder: Path, *, has_separate_sound: bool = False, seconds: int = 6) -> None:
    """An HLS of a second a segment, with a master playlist of two renditions, and an MP4."""
    folder.mkdir(parents=True)
    source = make(folder / "source.mp4", Recipe(seconds=seconds, options="preset=ultrafast;g=30"))
    if has_separate_sound:
        _segment(source, folder, "video", "-map", "0:v", "-hls_segment_type", "fmp4")
        _segment(source, folder, "audio", "-map", "0:a", "-hls_segment_type", "fmp4")
        master = (
            '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="a",DEFAULT=YES,URI="audio.m3u8"\n'
            '#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO="g"\nvideo.m3u8?token=x\n'
        )
    else:
        _segment(source, folder, "video", "-hls_segment_type", "mpegts")
        master = (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlow.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=900000\nvideo.m3u8?token=x\n"
        )
    (folder / "master.m3u8").write_text(master)


def _segment(source: Path, folder: Path, name: str, *arguments: str) -> None:
    suffix = "m4s" if "fmp4" in arguments else "ts"
    command = [
        *(str(find_ffmpeg()), "-v", "error", "-i", str(source), "-c", "copy", *arguments),
        *("-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"),
        *("-hls_fmp4_init_filename", f"{name}-init.mp4"),
        *("-hls_segment_filename", str(folder / f"{name}-%03d.{suffix}")),
        str(folder / f"{name}.m3u8"),
    ]
    subprocess.run(command, check=True, cwd=folder)


def add_subtitles(folder: Path) -> None:
    """Give that HLS captions as providers do: English in pieces that say where on the clock of the
    picture they are, with one cue in two of them; German in one piece that counts from the start.
    """
    first_pts = _first_pts(folder / "video-000.ts")
    pieces = [
        "00:10.500 --> 00:12.500\nover the border\n",
        "00:10.500 --> 00:12.500\nover the border\n\n"
        "00:14.000 --> 00:15.000 align:start\n<i>the end</i>\n",
    ]
    for n, cues in enumerate(pieces):
        clock = f"X-TIMESTAMP-MAP=MPEGTS:{first_pts},LOCAL:00:00:10.000"
        (folder / f"english-{n}.vtt").write_text(f"WEBVTT\n{clock}\n\n{cues}")
    german = "WEBVTT\n\n00:01.000 --> 00:02.000\nvom Anfang an\n"
    (folder / "german.vtt").write_text(german)
    for name, parts in (
        ("english", ["english-0.vtt", "english-1.vtt"]),
        ("german", ["german.vtt"]),
    ):
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:6", *(f"#EXTINF:3,\n{part}" for part in parts)]
        (folder / f"{name}.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    media = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs"'
    for_deaf = "public.accessibility.transcribes-spoken-dialog"
    (folder / "master.m3u8").write_text(
        f'#EXTM3U\n{media},NAME="English CC",LANGUAGE="en-US",CHARACTERISTICS="{for_deaf}",'
        f'URI="english.m3u8"\n{media},NAME="Deutsch",LANGUAGE="de",URI="german.m3u8?token=x"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=900000,SUBTITLES="subs"\nvideo.m3u8?token=x\n'
    )


def _first_pts(segment: Path) -> int:
    with av.open(segment) as opened:
        times = [packet.pts for packet in opened.demux(video=0) if packet.pts is not None]
    return min(times)


@contextmanager
def provider_server(folder: Path) -> Generator[ProviderServer]:
    """The running server. Files are at `/media/<anything>/<name>`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            path = self.path.partition("?")[0]
            server.asked[path] += 1
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if path.startswith("/media/"):
                self.send_media(path.rpartition("/")[2])
                return
            server.authorizations.add(self.headers.get("Authorization", ""))
            answer = server.api.get((self.command, path))
            if callable(answer):
                answer = answer(json.loads(body or b"{}"))
            self.send(200 if answer is not None else 404, json.dumps(answer).encode())

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815

        def send_media(self, name: str) -> None:
            server.on_file(name)
            file = folder / name
            if not file.is_file():
                self.send(404, b"")
                return
            pending = server.fails.get(name, [])
            how = pending.pop(0) if pending else ""
            data = file.read_bytes()
            if how == "half":
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self.send(int(how) if how else 200, data)

        def send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        httpd.block_on_close = False
        server = ProviderServer(httpd.server_address[1], folder)
        threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            httpd.shutdown()
