"""The processes of the platform: how each is started, and how one knows that it answers.

What belongs here: command, environment and health address of each. What does not: keeping them
alive (supervisord.conf), the order and the terminal (`up`).
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from aethex.settings import PROJECT_DIR, Settings
from aethex.supervise.errors import CannotStart
from aethex.supervise.guard import die_with_parent

if TYPE_CHECKING:
    from fastapi import FastAPI

WAIT_SECONDS = 60.0
"""How long a process waits for Postgres before it gives up and is started again."""


@dataclass(frozen=True)
class Program:
    """A process as people see it. Its name is its section in supervisord.conf."""

    name: str
    title: str
    health_path: str | None = None
    """Where it answers 200 when it is up; None: supervisord's word counts."""
    port_setting: str | None = None

    def health_url(self, settings: Settings) -> str | None:
        """Address to ask from this machine."""
        if self.health_path is None or self.port_setting is None:
            return None
        port = getattr(settings, self.port_setting)
        return f"http://{_local(settings.host)}:{port}{self.health_path}"


PROGRAMS = (
    Program("postgres", "Postgres"),
    Program("code", "Dagster's code server"),
    Program("daemon", "Dagster's daemon"),
    Program("dagster", "Dagster", "/server_info", "dagster_port"),
    Program("recorder", "Recorder"),
    Program("service", "Service", "/readyz", "service_port"),
    Program("dashboards", "Dashboards", "/_stcore/health", "dashboards_port"),
)


def programs_of(settings: Settings) -> tuple[Program, ...]:
    """Those that run under these settings, in the order of starting."""
    return tuple(p for p in PROGRAMS if p.name != "postgres" or settings.is_database_embedded)


def addresses(settings: Settings) -> dict[str, str]:
    """What people open, by title."""
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else settings.host
    return {
        "Channels and videos": settings.effective_public_url,
        "Dashboards": f"http://{host}:{settings.dashboards_port}",
        "Dagster": f"http://{host}:{settings.dagster_port}",
    }


def run_program(name: str, settings: Settings) -> NoReturn:
    """Become the program, as supervisord wants it; all but Postgres wait until Postgres answers.

    Raises CannotStart for an unknown name, DatabaseUnreachable after WAIT_SECONDS.
    """
    die_with_parent()
    if name == "postgres":
        from aethex.postgres import exec_embedded

        exec_embedded(settings)
    command, environment = _command(name, settings)
    from aethex.postgres import database_url, wait_until_ready

    wait_until_ready(database_url(settings), timeout_seconds=WAIT_SECONDS)
    os.chdir(PROJECT_DIR)
    sys.stdout.flush()
    os.execve(command[0], command, {**os.environ, **environment})


def _command(name: str, settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Argument list and additional environment of a program."""
    if name == "service":
        return _service_command(settings), _service_environment(settings)
    if name == "dashboards":
        return [sys.executable, "-m", "aethex.dashboards"], {}
    if name == "recorder":
        return [sys.executable, "-m", "aethex", "recorder"], {}
    if name in ("code", "daemon", "dagster"):
        from aethex.pipelines.instance import commands, instance_env

        of_dagster = "webserver" if name == "dagster" else name
        return commands(settings)[of_dagster], instance_env(settings)
    names = ", ".join(program.name for program in PROGRAMS)
    raise CannotStart(f"There is no program {name!r}: it is one of {names}.")


def _service_command(settings: Settings) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "--factory", "aethex.supervise.programs:create_service"),
        *("--host", settings.host, "--port", str(settings.service_port)),
        *("--workers", str(settings.service_workers)),
        # Several that start at once on a busy machine are slow, and no reason to begin anew.
        *("--timeout-worker-healthcheck", "10"),
        # An open player or live page must not hold up a restart.
        *("--timeout-graceful-shutdown", "5"),
        *("--proxy-headers", "--no-server-header"),
    ]


def _service_environment(settings: Settings) -> dict[str, str]:
    """Where several workers keep their metrics, so that each can answer for all; emptied, as what
    the last run counted is no part of this one.
    """
    if settings.service_workers == 1:
        return {}
    folder = settings.run_dir / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}


def create_service() -> FastAPI:
    """The service, for uvicorn. A worker ends with the process that started it: on its own it would
    keep the port, and the next start would fail.
    """
    die_with_parent()
    from aethex.service.app import create

    return create()


def _local(host: str) -> str:
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
