"""The dashboards' real server as a process of its own, on a free port."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from aethex.dashboards.__main__ import command, environment
from aethex.settings import Settings

START_SECONDS = 60


@contextmanager
def dashboards_server(settings: Settings, log_path: Path) -> Iterator[str]:
    """Start it as `python -m aethex.dashboards` would; yields its address when it answers."""
    chosen = settings.model_copy(update={"dashboards_port": _free_port()})
    values = {
        "AETHEX_DATA_DIR": str(chosen.data_dir),
        "AETHEX_DATABASE_URL": chosen.database_url or "",
        "AETHEX_STORE_URL": chosen.store_url or "",
    }
    address = f"http://{chosen.host}:{chosen.dashboards_port}"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command(chosen),
            cwd=log_path.parent,
            env=environment() | values,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_up(address, process, log_path)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_up(address: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/_stcore/health").text == "ok":
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the dashboards did not start:\n{log_path.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
