"""`aethex up`: preflight, start in order, addresses, demo content, watch, stop.

What belongs here: the order, and what the terminal shows. What does not: how processes are started
(`parts`), the checks (`preflight`), the demo itself (aethex/demo).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from aethex.postgres import embedded_location, stop_supervised
from aethex.settings import Settings
from aethex.supervise import preflight
from aethex.supervise.errors import CannotStart, PartFailed
from aethex.supervise.lock import UpLock
from aethex.supervise.parts import Parts, prepare_database
from aethex.supervise.programs import PROGRAMS, addresses, programs_of

_TAKEOVER_SECONDS = 60.0
_WATCH_SECONDS = 1.0
_DEMO_STOP_SECONDS = 10.0


class _Stop(Exception):
    """Somebody asked us to end: Ctrl-C, SIGTERM, or the terminal went away."""


def up(settings: Settings, console: Console, *, with_demo: bool) -> int:
    """Run the platform until it is told to stop. Returns the exit code: 0 when it was, or runs
    already.

    Raises CannotStart, PostgresError, StoreError (nothing was started), or PartFailed (all
    was stopped).
    """
    lock = UpLock(settings)
    try:
        if not lock.take():
            holder = lock.holder()
            if holder is not None and holder.is_alive:
                _say_running(settings, console, holder.pid)
                return 0
            with console.status("The last run is still stopping"):
                if not lock.take(_TAKEOVER_SECONDS):
                    raise CannotStart(
                        f"Another AeThex on {settings.data_dir} is still stopping: "
                        "try again in a moment."
                    )
        stop_supervised(settings)  # the one of a run that was killed
        with console.status("Checking ports, disk, store and database"):
            preflight.check_all(settings, with_demo=with_demo)
        with _stop_signals(console):
            return _run(settings, console, lock, with_demo=with_demo)
    finally:
        lock.close()


def _run(settings: Settings, console: Console, lock: UpLock, *, with_demo: bool) -> int:
    parts = Parts(settings, lock.descriptor)
    demo: subprocess.Popen[bytes] | None = None
    try:
        started_at = time.monotonic()
        _start(settings, parts, console)
        _say_addresses(settings, console, time.monotonic() - started_at)
        if with_demo:
            demo = _start_demo()
        _watch(parts, console, demo)
    except _Stop:
        return 0
    finally:
        _finish(parts, console, demo)
    return 0


def _start(settings: Settings, parts: Parts, console: Console) -> None:
    """Start all parts, Postgres first, and return when all answer."""
    programs = programs_of(settings)
    board = _Board([program.title for program in programs], console)
    with board:
        parts.start_supervisor()
        if settings.is_database_embedded:
            parts.start(p for p in programs if p.name == "postgres")
            parts.wait_for_postgres()
            board.ready("Postgres")
            if moved := embedded_location(settings).moved_because:
                console.print(moved)
        prepare_database(settings)
        others = [p for p in programs if p.name != "postgres"]
        parts.start(others)
        parts.wait_ready(others, lambda program: board.ready(program.title))


def _start_demo() -> subprocess.Popen[bytes]:
    """The demo's own process: what it loads does not stay in this one's memory."""
    return subprocess.Popen(
        [sys.executable, "-m", "aethex", "demo"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: we end it before the database goes
    )


def _watch(parts: Parts, console: Console, demo: subprocess.Popen[bytes] | None) -> None:
    """Say when a part was restarted, and how the demo ended; ends by _Stop or PartFailed."""
    pids = {name: state.pid for name, state in parts.refuse_failed().items()}
    titles = {program.name: program.title for program in PROGRAMS}
    while True:
        if demo is not None and demo.poll() is not None:
            if demo.returncode:
                console.print("The demo content is not complete; the next start goes on with it.")
            demo = None
        for name, state in parts.refuse_failed().items():
            if state.state == "RUNNING" and state.pid != pids.get(name):
                if pids.get(name):
                    console.print(f"{titles[name]} ended and was started again (pid {state.pid}).")
                pids[name] = state.pid
        time.sleep(_WATCH_SECONDS)


def _finish(parts: Parts, console: Console, demo: subprocess.Popen[bytes] | None) -> None:
    """End everything; a second Ctrl-C makes it quicker."""
    signal.signal(signal.SIGINT, lambda *_: parts.stop_at_once())
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    status = console.status("Stopping")
    with suppress(OSError):  # the terminal may be gone; that must not keep anything running
        status.start()
    try:
        if demo is not None and demo.poll() is None:
            demo.terminate()
            try:
                demo.wait(_DEMO_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                demo.kill()
        parts.stop()
    finally:
        with suppress(OSError):
            status.stop()
            console.print("Stopped.")


@contextmanager
def _stop_signals(console: Console) -> Iterator[None]:
    """Inside, Ctrl-C, SIGTERM and a closed terminal raise _Stop once."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP:
            console.quiet = True  # nobody reads any more, and writing fails
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise _Stop

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Board:
    """One line a part while they start: a spinner, then how long it took. Plain lines on no
    terminal.
    """

    def __init__(self, titles: list[str], console: Console) -> None:
        self._titles = titles
        self._console = console
        self._began_at = time.monotonic()
        self._took: dict[str, float] = {}
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=10)

    def ready(self, title: str) -> None:
        """This part answers."""
        self._took[title] = time.monotonic() - self._began_at
        if not self._console.is_terminal:
            self._console.print(f"{title} is ready ({self._took[title]:.1f} s)")

    def __enter__(self) -> _Board:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print("Starting")
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=1)
        table.add_column(min_width=22)
        table.add_column(justify="right")
        for title in self._titles:
            took = self._took.get(title)
            if took is None:
                table.add_row(self._spinner, Text(title, style="dim"), "")
            else:
                table.add_row(Text("✓", style="green"), title, Text(f"{took:.1f} s", style="dim"))
        return table


def _say_addresses(settings: Settings, console: Console, seconds: float) -> None:
    table = Table.grid(padding=(0, 3))
    for title, url in addresses(settings).items():
        table.add_row(f"  {title}", f"[link={url}]{url}[/link]")
    console.print(f"\n[bold]AeThex runs[/] (started in {seconds:.0f} s). Ctrl-C stops it.\n")
    console.print(table)
    console.print()


def _say_running(settings: Settings, console: Console, pid: int) -> None:
    console.print(f"AeThex already runs on {settings.data_dir} (pid {pid}):\n")
    for title, url in addresses(settings).items():
        console.print(f"  {title}: {url}")


__all__ = ["PartFailed", "up"]
