"""Packages in a real Chromium with hls.js: buffered without a gap, seekable, played to the end."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from aethex.settings import PROJECT_DIR
from tests.media.conftest import Packager
from tests.media.footage import Recipe
from tests.media.test_hls import Footage
from tests.media.test_odd_files import PLAYABLE

pytestmark = pytest.mark.browser

HLS_JS = PROJECT_DIR / "node_modules" / "hls.js" / "dist" / "hls.min.js"
PAGE = "<!doctype html><video id=video muted width=320></video><script src=/hls.js></script>"
# Loads all, seeks to three quarters, plays the last moments; `window.result` when done.
PLAY = """
async (address) => {
  const video = document.getElementById('video'), errors = [];
  const hls = new Hls({maxBufferLength: 600, maxMaxBufferLength: 600, maxBufferSize: 1e9});
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.details !== 'bufferStalledError') errors.push(data.details);
  }); const event = (target, name) => new Promise(done => target.addEventListener(name, done, {once:
  true})); const all = new Promise(done => hls.on(Hls.Events.BUFFER_EOS, done)); const ready =
  event(video, 'loadeddata'); hls.loadSource(address); hls.attachMedia(video); await ready; await
  all; const buffered = []; for (let i = 0; i < video.buffered.length; i++)
    buffered.push([video.buffered.start(i), video.buffered.end(i)]);
  const seeked = event(video, 'seeked');
  video.currentTime = video.duration * 0.75;
  await seeked;
  const sought = {time: video.currentTime, ready: video.readyState};
  const moved = event(video, 'seeked');
  video.currentTime = Math.max(0, video.duration - 0.4);
  await moved;
  const ended = event(video, 'ended');
  await video.play();
  await ended;
  window.result = {errors, buffered, sought, duration: video.duration, width: video.videoWidth,
    height: video.videoHeight, sound: video.webkitAudioDecodedByteCount, frames:
    video.getVideoPlaybackQuality().totalVideoFrames, failure: video.error && video.error.message};
}
"""


@contextmanager
def served(folders: dict[str, Path]) -> Iterator[str]:
    """The folders, hls.js and a page with a video, on loopback; yields the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(PAGE.encode())
            else:
                super().do_GET()

        def translate_path(self, path: str) -> str:
            if path == "/hls.js":
                return str(HLS_JS)
            name, _, file = path.strip("/").partition("/")
            return str(folders[name] / Path(file).name)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ARG002
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_every_playable_odd_file_plays_to_its_end(
    shared_data: Path, packaged: Packager, footage: Footage, browser: Browser
) -> None:
    if not HLS_JS.is_file():
        pytest.skip("hls.js is not installed (npm ci)")
    vods = {
        str(number): packaged(shared_data / "video" / "odd" / name)
        for number, name in enumerate(sorted(PLAYABLE))
    }
    vods["copied"] = packaged(footage("b-frames.mp4", Recipe(seconds=9)))
    folders = {name: vod.out_dir for name, vod in vods.items()}
    with served(folders) as address:
        pages = {name: browser.new_page() for name in vods}  # they play side by side
        for name, page in pages.items():
            page.goto(address)
            playlist = f"/{name}/{vods[name].playlist_name}"
            page.evaluate(f"address => {{ ({PLAY})(address); }}", playlist)
        for name, vod in vods.items():
            result = pages[name].wait_for_function("window.result", timeout=60_000).json_value()
            pages[name].close()
            seconds = vod.duration_ms / 1000
            assert result["errors"] == []
            assert result["failure"] is None
            assert len(result["buffered"]) == 1
            assert result["buffered"][0][0] == pytest.approx(0, abs=0.02)
            assert result["buffered"][0][1] == pytest.approx(seconds, abs=0.05)
            assert result["duration"] == pytest.approx(seconds, abs=0.05)
            assert result["sought"]["ready"] >= 2
            assert result["frames"] > 0
            assert (result["sound"] > 0) == vod.has_audio
            shape = vod.width / vod.height
            assert result["width"] / result["height"] == pytest.approx(shape, rel=0.03)
