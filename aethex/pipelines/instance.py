"""The Dagster instance: its environment, its storage, its processes.

What belongs here: what must hold before any Dagster process starts. What does not: keeping the
processes alive (aethex/supervise.py).

Every Dagster process gets `instance_env(settings)` added to its environment and runs one of
`commands(settings)`, in any order, once Postgres answers and `prepare_storage(settings)` has
returned. They wait for each other; each may be restarted alone:

    code        dagster api grpc …        answers on the Unix socket AETHEX_DAGSTER_CODE_SOCKET
    daemon      dagster-daemon run …      schedules, sensors, the run queue
    webserver   dagster-webserver …       the UI on settings.host:settings.dagster_port
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from aethex.postgres import database_url, ensure_schemas, wait_until_ready
from aethex.settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    import dagster as dg

SCHEMA = "dagster"
MODULE = "aethex.pipelines.definitions"
LOCATION = "aethex"
_MAX_SOCKET_PATH_BYTES = 100  # the kernel's limit is 107


def instance_env(settings: Settings) -> dict[str, str]:
    """Environment of every Dagster process. Makes DAGSTER_HOME and its dagster.yaml.

    Needs no database: it may be called before Postgres runs.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    _copy_if_changed(PROJECT_DIR / "dagster.yaml", home / "dagster.yaml")
    return {
        "DAGSTER_HOME": str(home),
        "AETHEX_DAGSTER_DATABASE_URL": database_url(settings, "psycopg2", schema=SCHEMA),
        "AETHEX_DAGSTER_CODE_SOCKET": str(code_socket(settings)),
        "DAGSTER_DISABLE_TELEMETRY": "true",
        # the settings of this process are those of the runs, wherever they are started
        "AETHEX_DATA_DIR": str(settings.data_dir),
    }


def prepare_storage(settings: Settings) -> None:
    """Make Dagster's schema and tables where they are missing. Raises DatabaseUnreachable."""
    wait_until_ready(database_url(settings, driver=""), timeout_seconds=5)
    ensure_schemas(settings)
    with open_instance(settings) as instance:
        instance.get_runs_count()


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that the UI shows, for running jobs in this process. Raises DatabaseUnreachable.

    The environment is changed while it is open: dagster.yaml reads the database's address there.
    """
    # Not above: what only starts Dagster's processes would load it for nothing.
    from dagster import DagsterInstance

    environment = instance_env(settings)
    wait_until_ready(database_url(settings, driver=""), timeout_seconds=5)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            # connections are kept, as in the webserver: a refresh writes some hundred small rows
            instance.optimize_for_webserver(
                statement_timeout=60_000, pool_recycle=3600, max_overflow=5
            )
            yield instance
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def commands(settings: Settings) -> dict[str, list[str]]:
    """The Dagster processes by name, as argument lists."""
    python = [sys.executable, "-m"]
    workspace = ["--workspace", str(PROJECT_DIR / "workspace.yaml")]
    code = ["--module-name", MODULE, "--attribute", "defs", "--location-name", LOCATION]
    socket = ["--socket", str(code_socket(settings))]
    address = ["--host", settings.host, "--port", str(settings.dagster_port)]
    return {
        "code": [
            *(*python, "dagster", "api", "grpc"),
            *(*code, *socket),
            *("--working-directory", str(PROJECT_DIR)),
            "--use-python-environment-entry-point",
        ],
        "daemon": [*python, "dagster._daemon", "run", *workspace],
        "webserver": [*python, "dagster_webserver", *address, *workspace],
    }


def code_socket(settings: Settings) -> Path:
    """The code server's Unix socket: in the run folder, or where a path is short enough."""
    preferred = settings.run_dir / "dagster-code.sock"
    if len(os.fsencode(preferred)) <= _MAX_SOCKET_PATH_BYTES:
        preferred.parent.mkdir(parents=True, exist_ok=True)
        return preferred
    name = sha256(os.fsencode(settings.data_dir)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"aethex-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / "dagster-code.sock"


def _copy_if_changed(source: Path, target: Path) -> None:
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
