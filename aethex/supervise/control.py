"""Talking to the running supervisord: start, states, restart.

What belongs here: its XML-RPC over a Unix socket, and where that socket is. What does not: which
programs there are, or when to start them.
"""

from __future__ import annotations

import hashlib
import os
import xmlrpc.client
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from aethex.settings import Settings
from aethex.supervise.errors import NotRunning

_SOCKET_LIMIT_BYTES = 103  # macOS's; Linux allows 107
_BAD_NAME = 10
_ALREADY_STARTED = 60
_UP = ("RUNNING", "STARTING", "BACKOFF")


@dataclass(frozen=True)
class ProgramState:
    """One program as supervisord sees it."""

    name: str
    state: str
    """RUNNING, STARTING, BACKOFF (ended too soon, will be tried again), FATAL (given up), STOPPED,
    …
    """
    pid: int
    uptime_seconds: float
    description: str

    @property
    def is_up(self) -> bool:
        return self.state in _UP


def socket_path(settings: Settings) -> Path:
    """supervisord's socket: in the data folder, or in /tmp where that path would be too long."""
    path = settings.run_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_LIMIT_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return Path("/tmp") / f"aethex-{os.getuid()}-{digest}" / "supervisor.sock"


class Control:
    """The supervisord of a data folder. Methods raise NotRunning when none answers."""

    def __init__(self, settings: Settings) -> None:
        self._path = socket_path(settings)

    def states(self) -> dict[str, ProgramState]:
        """All programs by name."""
        states: dict[str, ProgramState] = {}
        for info in self._call("getAllProcessInfo"):
            uptime = float(info["now"] - info["start"]) if info["statename"] == "RUNNING" else 0.0
            states[info["name"]] = ProgramState(
                info["name"], info["statename"], info["pid"], uptime, info["description"]
            )
        return states

    def start(self, name: str) -> None:
        """Have a program started; returns at once."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise

    def restart(self, name: str) -> None:
        """Stop a program and start it again; returns when it was started. Raises NotRunning for no
        such name.
        """
        try:
            state = self.states().get(name)
            if state is not None and state.is_up:
                self._call("stopProcess", name, True)
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _BAD_NAME:
                raise NotRunning(f"There is no program {name!r}: see `aethex status`.") from fault
            raise

    def _call(self, method: str, *arguments: Any) -> Any:
        # A connection of its own each time: one that failed once stays unusable.
        transport = SupervisorTransport("", "", f"unix://{self._path}")
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except (OSError, HTTPException, xmlrpc.client.ProtocolError) as error:
            raise NotRunning(
                "AeThex does not run on this data folder: start it with `make up`."
            ) from error
        finally:
            transport.close()
