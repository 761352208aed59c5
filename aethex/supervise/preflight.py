"""What must hold before anything is started; each failure is one line that says which and what to
do.

What belongs here: the checks of `aethex up`. What does not: repairing, starting.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from aethex.postgres import database_url, prepare_embedded, wait_until_ready
from aethex.settings import Settings
from aethex.store import open_store
from aethex.supervise.errors import CannotStart
from aethex.supervise.ports import reason_not_free

_GIB = 1024**3
NEEDED_BYTES = _GIB // 2
"""Room for logs, Postgres' log and a build."""
NEEDED_WITH_DEMO_BYTES = 2 * _GIB
"""The same and the demo's videos, each once as rendered and twice as packaged."""
_DATABASE_SECONDS = 5.0


def check_all(settings: Settings, *, with_demo: bool) -> None:
    """Raise CannotStart, StoreError or PostgresError at the first thing in the way.

    The embedded database is made ready here, so that what hinders it is said at once.
    """
    check_folders(settings, NEEDED_WITH_DEMO_BYTES if with_demo else NEEDED_BYTES)
    check_ports(settings)
    open_store(settings).check()
    if settings.is_database_embedded:
        prepare_embedded(settings)  # the first time it makes the database, which takes a moment
    else:
        wait_until_ready(database_url(settings), timeout_seconds=_DATABASE_SECONDS)


def check_ports(settings: Settings) -> None:
    """Raise CannotStart when a port is taken, or wanted twice."""
    wanted = {
        "AETHEX_SERVICE_PORT": settings.service_port,
        "AETHEX_DAGSTER_PORT": settings.dagster_port,
        "AETHEX_DASHBOARDS_PORT": settings.dashboards_port,
    }
    if settings.rtmp_port:
        wanted["AETHEX_RTMP_PORT"] = settings.rtmp_port
    taken_by: dict[int, str] = {}
    for name, port in wanted.items():
        if other := taken_by.get(port):
            raise CannotStart(f"{other} and {name} are both {port}: give each its own port.")
        taken_by[port] = name
        if reason := reason_not_free(settings.host, port):
            raise CannotStart(f"Port {port} {reason}: free it, or set {name} to another port.")


def check_folders(settings: Settings, needed_bytes: int) -> None:
    """Raise CannotStart when the data folder, or a folder store elsewhere, is read-only or too
    full.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"The data folder {settings.data_dir} cannot be made ({error.strerror}): "
            "permit it, or set AETHEX_DATA_DIR elsewhere."
        ) from error
    if not os.access(settings.data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise CannotStart(
            f"The data folder {settings.data_dir} cannot be written: "
            "correct its owner, or set AETHEX_DATA_DIR elsewhere."
        )
    _check_room(settings.data_dir, needed_bytes, "AETHEX_DATA_DIR")
    store = open_store(settings)
    folder = store.local_path("x") if store.is_local else None
    if folder is not None and not folder.is_relative_to(settings.data_dir):
        _check_room(_existing(folder.parent), needed_bytes, "AETHEX_STORE_URL")


def _check_room(folder: Path, needed_bytes: int, setting: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise CannotStart(
            f"Too little room in {folder}: {free / _GIB:.2f} GiB are free and "
            f"{needed_bytes / _GIB:.1f} GiB needed: free some, or set {setting} to another disk."
        )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
