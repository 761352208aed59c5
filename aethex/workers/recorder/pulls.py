"""Inputs that are pulled: one task each, which tries, records, and tries again.

What belongs here: ffmpeg children and their pauses. What does not: which inputs (`captures.pulls`),
what their bytes become (`publication`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin

from aethex.fetch import Fetcher, FetchError, checked_address, trusted_authorities
from aethex.fetch import Limits as FetchLimits
from aethex.library.captures import Pull
from aethex.media.errors import MediaError
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.flv import FlvReader
from aethex.media.pull import (
    IDLE_SECONDS,
    PULL_SCHEMES,
    first_variant,
    is_over,
    pull_command,
    pull_script,
)
from aethex.media.sandbox import Limits, confined_with_network
from aethex.settings import Settings
from aethex.workers.recorder.desk import Admission, Desk
from aethex.workers.recorder.proxy import CheckingProxy
from aethex.workers.recorder.publication import Publication

logger = logging.getLogger(__name__)

Begin = Callable[[Admission, Pull], Publication]

_READ_BYTES = 256 * 1024
_FIRST_BYTES_SECONDS = 30.0
_SHORTEST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 30.0
_MEMORY_BYTES = 2 * 1024**3
_CPU_WALL_SECONDS = 30 * 24 * 3600.0
_PLAYLIST_BYTES = 8 * 1024**2
_PLAYLIST_LIMITS = FetchLimits(connect_seconds=5, idle_seconds=5, total_seconds=15)
_WEB_SCHEMES = ("http", "https", "rtmps")


class Pulls:
    """What is pulled now. `sync` starts and ends it."""

    def __init__(self, settings: Settings, desk: Desk, begin: Begin) -> None:
        self._settings = settings
        self._desk = desk
        self._begin = begin
        self._proxy: CheckingProxy | None = None
        self._proxy_url = ""
        self._tasks: dict[Pull, asyncio.Task[None]] = {}

    async def sync(self, wanted: Iterable[Pull]) -> None:
        """Pull exactly these: begin what is new, end what is no more wanted."""
        pulls = {*wanted}
        await self._end([pull for pull in self._tasks if pull not in pulls])
        for pull in pulls - self._tasks.keys():
            self._tasks[pull] = asyncio.create_task(self._keep(pull))

    async def stop(self) -> None:
        """End all."""
        await self._end([*self._tasks])
        if self._proxy is not None:
            await self._proxy.stop()

    async def _end(self, pulls: Iterable[Pull]) -> None:
        tasks = [self._tasks.pop(pull) for pull in pulls]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, pull: Pull) -> None:
        wait_seconds = _SHORTEST_WAIT_SECONDS
        while True:
            try:
                has_come = await self._once(pull)
            except FetchError as error:
                logger.warning("input %s is not pulled: %s", pull.input_id, error)
                has_come = False
            except Exception as error:
                # Not its text: it may quote the address, and that may hold a key.
                logger.error("input %s: pulling failed: %s", pull.input_id, type(error).__name__)
                has_come = False
            longer = min(_LONGEST_WAIT_SECONDS, wait_seconds * 2)
            wait_seconds = _SHORTEST_WAIT_SECONDS if has_come else longer
            await asyncio.sleep(wait_seconds)

    async def _once(self, pull: Pull) -> bool:
        """Pull until it ends; whether anything of it was recorded."""
        if not await asyncio.to_thread(self._desk.is_held, pull.input_id):
            return False  # another recorder pulls it
        checked = await asyncio.to_thread(
            checked_address, pull.url, self._settings, schemes=PULL_SCHEMES
        )
        is_hls = checked.scheme in ("http", "https")
        if is_hls and not await asyncio.to_thread(self._is_live, pull.url):
            return False
        url = pull.url if checked.scheme in _WEB_SCHEMES else checked.pinned_url
        child = await self._start(url, checked.scheme)
        assert child.stdout is not None
        try:
            data = b""
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_BYTES_SECONDS):
                    data = await child.stdout.read(_READ_BYTES)
            if not data or not _can_be_recorded(pull, data):
                return False
            admission = await self._admit(pull)
            if admission is None:
                return False
            publication = self._begin(admission, pull)
            await self._pass_on(child.stdout, data, publication)
            return publication.capture.segments > 0
        finally:
            await _kill(child)

    async def _admit(self, pull: Pull) -> Admission | None:
        """As `Desk.admit_pull`; what is let in when the pull is ended meanwhile is left again."""
        asked = asyncio.create_task(asyncio.to_thread(self._desk.admit_pull, pull))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            if (admission := await asked) is not None:
                kind = "disconnected" if pull.stream_id is None else None
                await asyncio.to_thread(self._desk.leave, admission, kind, None)
            raise

    def _is_live(self, url: str) -> bool:
        """Whether the playlist there still grows: what has ended would be recorded over and over.

        Raises FetchError.
        """
        with Fetcher(self._settings, limits=_PLAYLIST_LIMITS) as fetcher:
            answer = fetcher.get(url, max_bytes=_PLAYLIST_BYTES)
            text = answer.body.decode(errors="replace")
            if (variant := first_variant(text)) is not None:
                answer = fetcher.get(urljoin(answer.url, variant), max_bytes=_PLAYLIST_BYTES)
                text = answer.body.decode(errors="replace")
        return not is_over(text)

    async def _start(self, url: str, scheme: str) -> asyncio.subprocess.Process:
        if self._proxy is None:
            self._proxy = CheckingProxy(self._settings)
            self._proxy_url = await self._proxy.start()
        limits = Limits(_MEMORY_BYTES, 0, _CPU_WALL_SECONDS)
        trusted = trusted_authorities()
        child = await asyncio.create_subprocess_exec(
            *confined_with_network(
                pull_command(scheme),
                readable=[find_ffmpeg(), *map(Path, trusted.values())],
                limits=limits,
                ports=[self._proxy.port] if scheme in _WEB_SCHEMES else None,
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_READ_BYTES,
            env={
                "PATH": "",
                "LANG": "C.UTF-8",
                "http_proxy": self._proxy_url,
                **trusted,
            },
            start_new_session=True,
        )
        assert child.stdin is not None
        with suppress(OSError):
            child.stdin.write(pull_script(url, scheme))
            await child.stdin.drain()
        child.stdin.close()
        return child

    async def _pass_on(
        self, stdout: asyncio.StreamReader, data: bytes, publication: Publication
    ) -> None:
        try:
            while data:
                await publication.write(data)
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await stdout.read(_READ_BYTES)
        except (TimeoutError, MediaError):
            pass  # what cannot be recorded was told; it may be another stream the next time
        finally:
            await publication.finish(is_clean=False)


def _can_be_recorded(pull: Pull, data: bytes) -> bool:
    """Whether its first bytes are of a picture that can. Nobody is told that another one is live:
    it would be lost at once, and come again, for ever.
    """
    try:
        for _ in FlvReader().feed(data):
            pass
    except MediaError as error:
        logger.error("input %s cannot be recorded: %s", pull.input_id, error)
        return False
    return True


async def _kill(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
