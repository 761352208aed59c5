"""A whole platform as a child process, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

from aethex.settings import PROJECT_DIR, Settings
from aethex.supervise.control import Control, ProgramState
from tests.service_process import environment as settings_environment

PATIENCE_SECONDS = 240.0


class Platform:
    """`aethex up` and what it prints."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.control = Control(settings)
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aethex", "up", "--no-demo"],
            cwd=PROJECT_DIR,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put(None)

    def wait_for_line(self, words: str) -> str:
        """Wait until it prints a line with these words; fails when it ends before."""
        while True:
            try:
                line = self._queue.get(timeout=PATIENCE_SECONDS)
            except Empty:
                raise AssertionError(f"no {words!r} in {self.lines}") from None
            assert line is not None, f"it ended without {words!r}: {self.lines}"
            self.lines.append(line)
            if words in line:
                return line

    def states(self) -> dict[str, ProgramState]:
        """The programs as supervisord sees them."""
        return self.control.states()

    def processes(self) -> set[int]:
        """Every process with this data folder in its environment or command line (Linux)."""
        folder = os.fsencode(self.settings.data_dir)
        found: set[int] = set()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if folder in told and int(entry.name) != os.getpid():
                found.add(int(entry.name))
        return found


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a command; nothing of the machine's own."""
    machine = {k: v for k, v in os.environ.items() if not k.startswith("AETHEX_")}
    return machine | settings_environment(settings)


@contextmanager
def running(settings: Settings) -> Generator[Platform]:
    """A platform that is started, and gone after the block whatever happens."""
    platform = Platform(settings)
    try:
        yield platform
    finally:
        if platform.process.poll() is None:
            platform.process.send_signal(signal.SIGTERM)
            try:
                platform.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                platform.process.kill()
        eventually(lambda: not platform.processes())


def eventually(holds: Callable[[], object]) -> None:
    """Wait until it holds; for what no event tells, such as other processes' ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
