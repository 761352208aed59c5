"""The service as a process of its own, as `aethex run service` starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from aethex.settings import PROJECT_DIR, Settings


@dataclass
class ServiceProcess:
    """A running service; `start` after `kill` brings it back at the same address."""

    settings: Settings
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--factory", "aethex.service.app:create"),
                *("--port", str(self.port), "--log-level", "warning", "--no-access-log"),
            ],
            cwd=PROJECT_DIR,
            env={**os.environ, **environment(self.settings)},
        )
        while True:
            try:
                httpx.get(f"{self.url}/healthz", trust_env=False).raise_for_status()
                return
            except httpx.TransportError:
                assert self.process.poll() is None, "the service ended"
                time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as a supervisor does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


@contextmanager
def running_service(settings: Settings) -> Iterator[ServiceProcess]:
    """The service with these settings, on a free port."""
    service = ServiceProcess(settings, free_port())
    service.start()
    try:
        yield service
    finally:
        service.stop()


def environment(settings: Settings) -> dict[str, str]:
    """The settings that differ from the defaults, as a process reads them."""
    defaults = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    found: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is not None and value != getattr(defaults, name):
            text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
            found[f"AETHEX_{name.upper()}"] = text
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
