"""Starting supervisord, its programs in order, and ending all of them.

What belongs here: processes. What does not: what the terminal shows (`up`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg

from aethex.postgres import database_url, stop_supervised, wait_until_ready
from aethex.postgres.errors import DatabaseUnreachable
from aethex.settings import PROJECT_DIR, Settings
from aethex.supervise.control import Control, ProgramState, socket_path
from aethex.supervise.errors import NotRunning, PartFailed
from aethex.supervise.programs import Program

_START_SECONDS = 20.0
_READY_SECONDS = 300.0
_STOP_SECONDS = 90.0
_POLL_SECONDS = 0.15
_STARTS_AT_MOST = 4  # of one program before all are ready
_ASK_SECONDS = 3.0


class Parts:
    """supervisord and what it runs, for one data folder."""

    def __init__(self, settings: Settings, lock: int) -> None:
        """`lock` is a descriptor that supervisord keeps open as long as it lives."""
        self.settings = settings
        self.control = Control(settings)
        self._lock = lock
        self._daemon: subprocess.Popen[bytes] | None = None
        self._alive: int | None = None  # this end of the pipe says that we live
        self._pids: set[int] = set()  # of now: an old number may be anybody's by then
        self._starts: dict[str, set[int]] = {}
        self._has_been_ready = False

    def start_supervisor(self) -> None:
        """Start supervisord and return when it answers. Raises PartFailed."""
        for folder in (
            self.settings.log_dir,
            self.settings.run_dir,
            socket_path(self.settings).parent,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        watched, self._alive = os.pipe()
        output = self.settings.log_dir / "supervisord.out"
        with output.open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    *(sys.executable, "-m", "aethex.supervise.guard", str(watched)),
                    str(PROJECT_DIR / "supervisord.conf"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=PROJECT_DIR,
                pass_fds=[watched, self._lock],
                start_new_session=True,  # Ctrl-C is for us: we stop it in order
            )
        os.close(watched)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if not self.is_alive():
                raise PartFailed(
                    f"The supervisor ended at once ({last_line(output)}): see {output}."
                )
            with suppress(NotRunning):
                self.control.states()
                return
            if time.monotonic() > deadline:
                raise PartFailed(f"The supervisor does not answer: see {output}.")
            time.sleep(_POLL_SECONDS)

    def start(self, programs: Iterable[Program]) -> None:
        """Have programs started; returns at once."""
        try:
            for program in programs:
                self.control.start(program.name)
        except NotRunning:
            raise self._ended() from None

    def wait_for_postgres(self) -> None:
        """Return once it answers. Raises PartFailed when it does not come up."""
        url = database_url(self.settings)
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                wait_until_ready(url, timeout_seconds=0)
                return
            except DatabaseUnreachable:
                if time.monotonic() > deadline:
                    raise
            self.refuse_failed()
            time.sleep(_POLL_SECONDS)

    def wait_ready(self, programs: Iterable[Program], on_ready: Callable[[Program], None]) -> None:
        """Return when all answer; `on_ready` hears of each. Raises PartFailed when one gives up."""
        waiting = list(programs)
        deadline = time.monotonic() + _READY_SECONDS
        with httpx.Client(timeout=_ASK_SECONDS, trust_env=False) as client:
            while waiting:
                states = self.refuse_failed()
                for program in [p for p in waiting if self._is_ready(p, states, client)]:
                    waiting.remove(program)
                    on_ready(program)
                if waiting and time.monotonic() > deadline:
                    names = ", ".join(program.title for program in waiting)
                    raise PartFailed(
                        f"{names} did not answer within {_READY_SECONDS:.0f} s: "
                        f"see {self.settings.log_dir}."
                    )
                time.sleep(_POLL_SECONDS)
        self._has_been_ready = True

    def refuse_failed(self) -> dict[str, ProgramState]:
        """All states.

        Raises PartFailed when supervisord ended, a program was given up, or, before all were ready,
        one ended again and again (one that ends late is never given up by supervisord).
        """
        if not self.is_alive():
            raise self._ended()
        try:
            states = self.control.states()
        except NotRunning:
            raise self._ended() from None
        self._pids = {state.pid for state in states.values() if state.pid}
        for name, state in states.items():
            if state.pid:
                self._starts.setdefault(name, set()).add(state.pid)
            is_looping = len(self._starts.get(name, ())) > _STARTS_AT_MOST
            if state.state == "FATAL" or (is_looping and not self._has_been_ready):
                log = self.settings.log_dir / f"{name}.log"
                raise PartFailed(f"{name} does not start ({last_line(log)}): see {log}.")
        return states

    def _ended(self) -> PartFailed:
        return PartFailed(f"The supervisor ended: see {self.settings.log_dir / 'supervisord.log'}.")

    def is_alive(self) -> bool:
        """Whether supervisord runs."""
        return self._daemon is not None and self._daemon.poll() is None

    def stop(self) -> None:
        """End everything in order, then by force; returns when all is gone."""
        if self._daemon is not None:
            with suppress(ProcessLookupError):
                self._daemon.terminate()
            try:
                self._daemon.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
            self._end_leftovers()
            self._daemon = None
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None

    def stop_at_once(self) -> None:
        """Skip what is still polite in a `stop` that is under way."""
        self._signal_all(signal.SIGTERM)

    def _end_leftovers(self) -> None:
        """After a supervisord that was killed: its programs, found by the pids that it told."""
        if self._daemon is None or self._daemon.returncode == 0:
            return
        self._signal_all(signal.SIGINT)
        stop_supervised(self.settings)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _is_ready(
        self, program: Program, states: dict[str, ProgramState], client: httpx.Client
    ) -> bool:
        state = states.get(program.name)
        if state is None or state.state not in ("RUNNING", "STARTING"):
            return False
        url = program.health_url(self.settings)
        if url is None:
            return state.state == "RUNNING"
        try:
            return client.get(url).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _environment(self) -> dict[str, str]:
        """Ours, with the settings in force by name, so that every process has the same."""
        environment = {**os.environ}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment |= {
            "AETHEX_DATA_DIR": str(self.settings.data_dir),
            "AETHEX_UP_PYTHON": sys.executable,
            "AETHEX_UP_LOGS": str(self.settings.log_dir),
            "AETHEX_UP_RUN": str(self.settings.run_dir),
            "AETHEX_UP_SOCKET": str(socket_path(self.settings)),
            "PYTHONUNBUFFERED": "1",
        }
        return environment


def prepare_database(settings: Settings) -> None:
    """Bring all tables up to date before anything uses them. Repeating and racing it is fine.

    Dagster's are made by a process of its own, and only once: its program is large, and this
    process stays. Raises DatabaseUnreachable, SchemaMismatch, PartFailed.
    """
    from aethex.library import upgrade

    upgrade(settings)
    with psycopg.connect(database_url(settings, driver="")) as connection:
        row = connection.execute("select to_regclass('dagster.runs') is not null").fetchone()
    if row is not None and row[0]:
        return
    command = [sys.executable, "-m", "aethex", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_DIR, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise PartFailed(f"Dagster's tables were not made: {said[-1]}")


def last_line(path: Path) -> str:
    """The last line of a log that says something, at most 200 characters."""
    try:
        lines = path.read_text(errors="replace")[-4000:].splitlines()
    except OSError:
        return "it left no log"
    told = [line.strip() for line in lines if line.strip()]
    return told[-1][:200] if told else "it left no log"
