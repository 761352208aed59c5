"""The service's real command: as many workers as are set, which answer and end as one."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict

from aethex.library import Library
from aethex.settings import PROJECT_DIR, Settings
from aethex.store import open_store
from aethex.supervise.programs import _command
from tests.commands import Commands
from tests.service.sending import Place, add_place, landed
from tests.supervise.platform import eventually
from tests.supervise.test_preflight import free_ports

needs_proc = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes in /proc"
)
EACH = 100
"""Events of a batch."""


class Service:
    """`aethex run service` as a process, on a database and a port of the test's own."""

    def __init__(self, settings: Settings, process: subprocess.Popen[bytes]) -> None:
        self.settings = settings
        self.process = process
        self.url = f"http://127.0.0.1:{settings.service_port}"
        self.metrics_dir = settings.run_dir / "metrics"

    def is_up(self) -> bool:
        assert self.process.poll() is None, "the service ended"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).is_success
        except httpx.TransportError:
            return False

    def send(self, place: Place) -> int:
        """Send a batch over a connection of its own; how many events it was."""
        body = [place.chat(event_id=str(uuid4())) for _ in range(EACH)]
        headers = {"Authorization": f"Bearer {place.token}"}
        answer = httpx.post(f"{self.url}/api/events", json=body, headers=headers, timeout=30)
        assert answer.json()["accepted"] == EACH
        return EACH

    def accepted(self) -> float:
        """All accepted chat messages, as whichever worker answers says it."""
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(
            r'^aethex_events_accepted_total\{kind="chat"\} (\S+)$', text, re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    def accepted_by(self) -> dict[int, float]:
        """The same by worker, from the files in which each counts."""
        return {
            int(file.stem.removeprefix("counter_")): sum(
                value
                for key, value, *_ in MmapedDict.read_all_values_from_file(str(file))
                if "aethex_events_accepted_total" in key
            )
            for file in self.metrics_dir.glob("counter_*.db")
        }

    def workers(self) -> set[int]:
        """The processes that were started by the first one and serve."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = {int(pid) for pid in children.read_text().split()}
        return pids & self.accepted_by().keys()


@contextmanager
def running(settings: Settings) -> Generator[Service]:
    """The running service; it is gone afterwards."""
    assert settings.database_url is not None
    names = ("service_port", "service_workers", "events_flush_ms")
    more = {name: str(getattr(settings, name)) for name in names}
    commands = Commands(settings.data_dir, settings.database_url, more)
    own = {k: v for k, v in os.environ.items() if not k.startswith("AETHEX_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "aethex", "run", "service"],
        cwd=PROJECT_DIR,
        env={**own, **commands.variables(), "WEB_CONCURRENCY": "7"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    service = Service(settings, process)
    try:
        eventually(service.is_up)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with suppress(ProcessLookupError):  # of its group nobody is left, unless a test failed
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def two_workers(settings: Settings) -> Settings:
    (port,) = free_ports(1)
    return settings.model_copy(
        update={"service_port": port, "service_workers": 2, "events_flush_ms": 0}
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@needs_proc
def test_two_workers_share_the_work_answer_for_each_other_and_end_together(
    two_workers: Settings, library: Library
) -> None:
    place = add_place(library)
    with running(two_workers) as service:
        eventually(lambda: len(service.workers()) == 2)
        sent = 0
        while sent == 0 or not all(service.accepted_by().values()):
            sent += service.send(place)
            assert sent < 500 * EACH, "one worker takes everything"
        assert sum(service.accepted_by().values()) == sent
        assert {service.accepted() for _ in range(10)} == {sent}

        killed, other = sorted(service.workers())
        _one_that_is_killed_is_replaced(service, killed)
        sent += service.send(place)
        # what it had accepted stays counted, what waited in it waits no more
        assert {service.accepted() for _ in range(10)} == {sent}
        files = {file.name for file in service.metrics_dir.iterdir()}
        assert f"gauge_livesum_{killed}.db" not in files
        assert f"gauge_livesum_{other}.db" in files
        assert len({row["event_id"] for row in landed(open_store(two_workers))}) == sent

        # orphans would keep the port, and the service could not be started again
        service.process.kill()
        service.process.wait()
        eventually(lambda: is_free(two_workers.service_port))


def _one_that_is_killed_is_replaced(service: Service, killed: int) -> None:
    others = service.workers() - {killed}
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(service.workers() - {killed}) == 2)
    assert others < service.workers()


def test_one_worker_keeps_its_metrics_to_itself(settings: Settings) -> None:
    command, environment = _command("service", settings)
    assert command[command.index("--workers") + 1] == "1"
    assert environment == {}
    assert not (settings.run_dir / "metrics").exists()


def test_the_folder_of_several_is_emptied_at_the_start(two_workers: Settings) -> None:
    folder = two_workers.run_dir / "metrics"
    folder.mkdir(parents=True)
    (folder / "counter_1.db").touch()
    command, environment = _command("service", two_workers)
    assert command[command.index("--workers") + 1] == "2"
    assert environment == {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    assert list(folder.iterdir()) == []
