"""How soon a VOD's page shows its first frame in Chromium, beside the same file on a plain server.

A real service with one VOD of 720p, and Python's `http.server` with copies of the same objects:
the same HLS under a page with nothing but a <video> and hls.js, and the same MP4 under one with
nothing but a <video>. Each load is a new browser context, so nothing is cached. Measured is the
time from the begin of the navigation until the video has its first frame, by the page's own clock.

    .venv/bin/python -m benchmarks.playback [--loads 20]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from aethex.library import Library, Vod
from aethex.service.static_files import NODE_MODULES, VENDOR_FILES
from aethex.settings import Settings
from tests.browser import Browser, launched_browser
from tests.conftest import own_settings
from tests.postgres_server import shared_postgres
from tests.service.site import import_source
from tests.service_process import running_service

SECONDS = 60
GOAL_MS = 2000
_HLS_PAGE = """<!doctype html><title>HLS</title><video muted playsinline></video>
<script src="hls.js"></script><script>
const hls = new Hls(); hls.loadSource("{path}"); hls.attachMedia(document.querySelector("video"));
</script>"""
_MP4_PAGE = """<!doctype html><title>MP4</title>
<video muted playsinline preload="auto" src="{path}"></video>"""
_NOTE = (
    "document.addEventListener('loadeddata', () => { window.firstFrame ??= performance.now(); },"
    " true);"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to the first frame.")
    parser.add_argument("--loads", type=int, default=20)
    options = parser.parse_args()
    with (
        shared_postgres() as postgres,
        postgres.fresh_database() as url,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        settings = own_settings(folder, url)
        report = import_source(settings, film(folder / "film.mp4"))
        static = plain_pages(settings, folder / "static", report.vod_id)
        with (
            running_service(settings) as service,
            plain_server(static) as plain,
            launched_browser() as browser,
        ):
            pages = {
                "VOD page of the service": f"{service.url}/vods/{report.vod_id}",
                "plain server, HLS": f"{plain}/hls.html",
                "plain server, MP4": f"{plain}/mp4.html",
            }
            compare(browser, pages, options.loads)


def compare(browser: Browser, pages: dict[str, str], loads: int) -> None:
    """Load each in turn, and print a line for each."""
    taken: dict[str, list[float]] = {name: [] for name in pages}
    for number in range(loads + 1):
        for name, url in pages.items():
            ms = first_frame_ms(browser, url)
            if number:  # the very first load of each warms up the servers
                taken[name].append(ms)
    print(
        f"{os.cpu_count()} cores, shared by browser, service and database; {loads} loads of each, "
        f"1280x720, {SECONDS} s"
    )
    medians = {name: statistics.median(all_ms) for name, all_ms in taken.items()}
    ours = next(iter(medians.values()))
    print(f"{'first frame':26} {'p50':>9} {'p95':>9} {'longest':>9}  the service's p50 to it")
    for name, all_ms in taken.items():
        p95 = statistics.quantiles(all_ms, n=20)[18]
        print(
            f"{name:26} {medians[name]:6.0f} ms {min(p95, max(all_ms)):6.0f} ms "
            f"{max(all_ms):6.0f} ms  {ours / medians[name]:.2f}"
        )
    late = sum(ms > GOAL_MS for ms in next(iter(taken.values())))
    print(f"VOD pages over {GOAL_MS} ms: {late} of {loads}")


def first_frame_ms(browser: Browser, url: str) -> float:
    """From the begin of the navigation to the first frame, in a context of its own."""
    with browser.new_context(viewport={"width": 1280, "height": 860}) as context:
        page = context.new_page()
        page.add_init_script(_NOTE)
        page.goto(url)
        found: Any = None
        while found is None:
            found = page.evaluate("window.firstFrame ?? null")
            page.wait_for_timeout(10)
        return found


def film(path: Path) -> Path:
    """Moving pictures of 720p with sound, a keyframe every two seconds."""
    command = (
        f"{imageio_ffmpeg.get_ffmpeg_exe()} -v error -f lavfi -i testsrc2=size=1280x720:rate=30 "
        f"-f lavfi -i sine=f=330:b=4 -t {SECONDS} -c:v libx264 -preset ultrafast -b:v 3M -g 60 "
        "-pix_fmt yuv420p -c:a aac"
    )
    subprocess.run([*command.split(), str(path)], check=True)
    return path


def plain_pages(settings: Settings, folder: Path, vod_id: str) -> Path:
    """A folder with copies of the VOD's objects, and the two pages."""
    with Library.open(settings) as library, library.session() as s:
        vod = s.get_one(Vod, vod_id)
    shutil.copytree(settings.data_dir / "store" / "vods", folder / "vods")
    shutil.copy(NODE_MODULES / VENDOR_FILES["hls.min.js"], folder / "hls.js")
    (folder / "hls.html").write_text(_HLS_PAGE.replace("{path}", str(vod.playlist_key)))
    (folder / "mp4.html").write_text(_MP4_PAGE.replace("{path}", str(vod.mp4_key)))
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: browsers hang up when they have enough."""


@contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    """Python's own file server; its address."""
    with _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()
