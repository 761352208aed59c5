"""A running service with one real video, for tests that drive a real browser.

What belongs here: making the video and the site. What does not: fixtures, and what a page does.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import uvicorn

from aethex.imports import VideoReport, import_video
from aethex.service.app import create_app
from aethex.settings import Settings
from tests.conftest import own_settings
from tests.postgres_server import PostgresForTests
from tests.service.content import AT

SECONDS = 24
FRAME_RATE = 30


@dataclass(frozen=True)
class Site:
    """A running service with content."""

    url: str
    vod_path: str


def make_source(path: Path) -> Path:
    """Moving pictures with sound, H.264 and AAC, a keyframe every two seconds."""
    command = (
        f"{imageio_ffmpeg.get_ffmpeg_exe()} -v error "
        f"-f lavfi -i testsrc2=size=640x360:rate={FRAME_RATE} -f lavfi -i sine=f=330:b=4 "
        f"-t {SECONDS} -c:v libx264 -preset ultrafast -g {2 * FRAME_RATE} -pix_fmt yuv420p -c:a aac"
    )
    subprocess.run([*command.split(), str(path)], check=True)
    return path


def import_source(settings: Settings, source: Path) -> VideoReport:
    """That video as a VOD."""
    return import_video(
        settings, source, channel="gdq", stream="AGDQ", starts_at=AT, title="The last boss"
    )


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A free port, held, and the address that it has."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held, f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def own_site(
    postgres: PostgresForTests, folder: Path, **more: Any
) -> Iterator[tuple[Settings, socket.socket]]:
    """Settings of a site with a folder and a database of its own, and the port that it will have.
    `more` are settings too.
    """
    with postgres.fresh_database() as database_url, listening() as (held, url):
        settings = own_settings(folder, database_url)
        yield settings.model_copy(update={"public_url": url, **more}), held


@contextmanager
def serving_site(settings: Settings, on: socket.socket) -> Iterator[None]:
    """Uvicorn in a thread of its own, on a socket that is bound already."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [on]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()
