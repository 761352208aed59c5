"""Work in a process of its own, which stops where the test wants it, to be killed or raced.

It tells each point that it reaches; at those that it was told to stop at it waits until the test
lets it go on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from aethex.settings import Settings

Reach = Callable[[str], None]
Work = Callable[[Settings, Reach], None]
"""Does its work on those settings, and calls the second with each point that it reaches."""

# a fork of a process that has the imports behind it starts in no time; pytest's own has threads
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__, "aethex.lake.publish", "aethex.lake.due"])


class Worker:
    """The test's handle of such a process."""

    def __init__(self, work: Work, settings: Settings, *stop_at: str) -> None:
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(target=_run, args=(work, settings, stop_at, theirs))
        self._process.start()
        theirs.close()
        self._is_going = not stop_at

    def wait_for(self, point: str) -> None:
        """Return when it has reached `point` (and waits there, if it is one to stop at).

        Raises EOFError when it ended without.
        """
        while self._pipe.recv() != point:
            pass

    def go_on(self) -> None:
        """Let it go on from here, and not stop again."""
        if not self._is_going:
            self._pipe.send("go on")
            self._is_going = True

    def finish(self) -> None:
        """Let it run to its end and check that it ended well."""
        self.go_on()
        self._process.join()
        assert self._process.exitcode == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


@contextmanager
def worker(work: Work, settings: Settings, *stop_at: str) -> Iterator[Worker]:
    """Such a process; it is dead afterwards in any case."""
    process = Worker(work, settings, *stop_at)
    try:
        yield process
    finally:
        process.kill()


def stopping(
    function: Callable[..., Any], reach: Reach, before: str, after: str
) -> Callable[..., Any]:
    """The function, which tells when it begins and when it has ended."""

    def told(*args: Any, **options: Any) -> Any:
        reach(before)
        result = function(*args, **options)
        reach(after)
        return result

    return told


def _run(work: Work, settings: Settings, stop_at: tuple[str, ...], pipe: Connection) -> None:
    stops = set(stop_at)

    def reach(point: str) -> None:
        pipe.send(point)
        if point in stops:
            pipe.recv()
            stops.clear()

    work(settings, reach)
