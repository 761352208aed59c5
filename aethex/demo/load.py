"""Bring the demo in: what is missing is made and imported, the videos are watched, the marts are
refreshed.

What belongs here: the order, the rendering processes. What does not: what is missing (`missing`),
the terminal (aethex/commands/demo_progress.py).

The library says what is there, and the store whether its videos were watched: so an interrupted
first start is continued by the next one, a video that was deleted does not come back, and nothing
is ever doubled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from aethex.demo.audience import write_segments, write_viewers
from aethex.demo.content import CHANNELS, Film
from aethex.demo.missing import Missing
from aethex.imports import import_segments, import_video, import_viewers
from aethex.library import Library, channels
from aethex.media.scratch import scratch_folder
from aethex.settings import PROJECT_DIR, Settings

_RENDERERS = 2

Progress = Callable[[str, str, float], None]
"""Called from any thread with a key of a step (`data`, `viewing`, `numbers` or a film's scene),
words and its share, 0–1.
"""


class DemoFailed(RuntimeError):
    """A film could not be rendered. One line."""


def load(settings: Settings, missing: list[Missing], progress: Progress) -> None:
    """Make and import what is missing. Raises DemoFailed and what imports raise."""
    with scratch_folder(settings) as folder, ThreadPoolExecutor(_RENDERERS) as pool:
        renders, has_numbers = _Renders(), threading.Event()
        try:
            _make_channels(settings)
            films = [
                pool.submit(_add_film, settings, entry, folder, has_numbers, renders, progress)
                for entry in sorted(missing, key=lambda entry: entry.started_at)
                if entry.needs_film
            ]
            # The numbers come first: they are quick, and streams then have their bounds.
            for index, entry in enumerate(missing):
                progress("data", "Viewers, chat and segments", index / len(missing))
                _add_numbers(settings, entry, folder)
            progress("data", "Viewers, chat and segments", 1.0)
            has_numbers.set()
            for film in films:
                film.result()
        except BaseException:
            renders.stop()
            has_numbers.set()
            raise


def watch_videos(settings: Settings, progress: Progress) -> None:
    """Let the videos be watched. Raises NotTaken when the service does not take it."""
    from aethex.demo.viewing import send_viewing

    words = "People who watch the videos"
    progress("viewing", words, 0.0)
    send_viewing(settings, lambda share: progress("viewing", words, share * 0.99))
    progress("viewing", words, 1.0)


def refresh_numbers(settings: Settings, progress: Progress) -> None:
    """Publish what has landed and compute the marts."""
    progress("numbers", "Computing the numbers", 0.05)
    from aethex.pipelines.instance import prepare_storage
    from aethex.pipelines.refresh import refresh

    prepare_storage(settings)
    progress("numbers", "Computing the numbers", 0.2)
    refresh(settings)
    progress("numbers", "Computing the numbers", 1.0)


def _make_channels(settings: Settings) -> None:
    """The channels with their titles; imports alone would title them by their usernames."""
    with Library.open(settings) as library, library.session() as s:
        for channel in CHANNELS:
            channels.ensure_channel(s, channel.username, channel.title)


def _add_numbers(settings: Settings, entry: Missing, folder: Path) -> None:
    channel, title = entry.channel.username, entry.stream.title
    if entry.needs_viewers:
        path = folder / "viewers.csv"
        write_viewers(entry.stream, entry.started_at, path)
        import_viewers(
            settings,
            path,
            channel=channel,
            stream=title,
            time_field="time",
            viewers_field="viewers",
            chat_field="messages",
        )
    if entry.needs_segments:
        path = folder / "segments.csv"
        write_segments(entry.stream, entry.started_at, path)
        import_segments(settings, path, channel=channel, stream=title)


def _add_film(
    settings: Settings,
    entry: Missing,
    folder: Path,
    has_numbers: threading.Event,
    renders: _Renders,
    progress: Progress,
) -> None:
    """Render a stream's film in a child process and import it as its VOD."""
    film = entry.stream.film
    assert film is not None
    path = folder / f"{film.scene}.mp4"
    renders.render(
        film, entry.channel.title, path, lambda share: progress(film.scene, film.title, share * 0.9)
    )
    has_numbers.wait()
    import_video(
        settings,
        path,
        channel=entry.channel.username,
        stream=entry.stream.title,
        starts_at=entry.started_at + timedelta(minutes=film.minutes_in),
        title=film.title,
        description=film.description,
        progress=lambda stage, share: progress(film.scene, film.title, _overall(stage, share)),
    )
    path.unlink()
    progress(film.scene, film.title, 1.0)


def _overall(stage: str, share: float) -> float:
    """How far a film is, while it is imported: rendering was nine tenths of it."""
    begins, ends = {
        "packaging": (0.9, 0.96),
        "looking": (0.96, 0.98),
        "uploading": (0.98, 0.99),
    }.get(stage, (0.9, 0.9))
    return begins + (ends - begins) * share


class _Renders:
    """The rendering processes that run now."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._is_stopped = False
        self._lock = threading.Lock()

    def render(
        self, film: Film, subtitle: str, path: Path, on_share: Callable[[float], None]
    ) -> None:
        """Render one film; returns when the file is complete. Raises DemoFailed."""
        request = {
            "scene": film.scene,
            "seconds": film.seconds,
            "title": film.title,
            "subtitle": subtitle,
            "path": str(path),
        }
        log = path.with_suffix(".log")
        with self._lock, log.open("w") as errors:
            if self._is_stopped:
                raise DemoFailed("The demo was stopped.")
            process = subprocess.Popen(
                [sys.executable, "-m", "aethex.demo.film", json.dumps(request)],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                cwd=PROJECT_DIR,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            self._running.add(process)
        assert process.stdout is not None
        for line in process.stdout:
            done, total = line.split()
            on_share(int(done) / int(total))
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        if code != 0:
            said = log.read_text(errors="replace").strip().splitlines()
            raise DemoFailed(
                f"The film {film.title!r} was not rendered: {said[-1] if said else code}."
            )

    def stop(self) -> None:
        """End what is rendering now, and refuse what would start later."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                process.terminate()
