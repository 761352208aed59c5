"""A drain of the outbox in a process of its own, which stops between landing and removal.

There it waits to be killed.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NoReturn

from aethex.library import Library
from aethex.service import outbox as module
from aethex.service.metrics import Metrics
from aethex.service.outbox import OutboxDrain
from aethex.settings import Settings
from aethex.store import open_store

# pytest's own process has threads, and cannot be forked safely
_processes = multiprocessing.get_context("forkserver")


class Drainer:
    """The test's handle of such a process."""

    def __init__(self, settings: Settings) -> None:
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(target=_run, args=(settings, theirs))
        self._process.start()
        theirs.close()

    def wait_until_landed(self) -> None:
        """Return when its events have landed and their rows are still there."""
        assert self._pipe.recv() == "landed"

    def kill(self) -> None:
        """kill -9, if it still runs."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


@contextmanager
def drainer(settings: Settings) -> Iterator[Drainer]:
    """Such a process; it is dead afterwards in any case."""
    process = Drainer(settings)
    try:
        yield process
    finally:
        process.kill()


def _run(settings: Settings, pipe: Connection) -> None:
    def stop(*_: object) -> NoReturn:
        pipe.send("landed")
        pipe.recv()  # for ever: nothing is sent
        raise AssertionError("it was to be killed")

    module.outbox.remove = stop
    with Library.open(settings) as library:
        OutboxDrain(library, open_store(settings), Metrics()).drain()
