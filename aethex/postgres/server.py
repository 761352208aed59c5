"""Run the embedded server: under supervisor as a process of its own, or for the time of one
command.

What belongs here: starting, finding and stopping the server. What does not: its files
(`prepare.py`).

Two kernel locks in the server's folder say who runs what; being the kernel's, neither outlives a
kill -9:
- `server.lock` is held by the server itself (and its children) as long as it lives;
- `users.lock` is shared by everything that wants the server to stay. Whoever lets go last stops it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from aethex.postgres.errors import AlreadyRunning, DatabaseUnreachable, EmbeddedUnusable
from aethex.postgres.location import EmbeddedLocation, embedded_location
from aethex.postgres.prepare import (
    HBA_FILE,
    IDENT_FILE,
    SERVER_LOCK,
    identity_for,
    prepare_embedded,
    server_environment,
    telling_line,
)
from aethex.postgres.urls import database_url, wait_until_ready
from aethex.settings import Settings

log = logging.getLogger(__name__)

_USERS_LOCK = "users.lock"
_SUPERVISED = b"supervised"
_LOG_FILE = "server.log"
_LOG_MAX_BYTES = 10 * 1024**2
_START_SECONDS = 60.0  # crash recovery replays up to max_wal_size
_STOP_SECONDS = 30.0
_TAKEOVER_SECONDS = 15.0
_POLL_SECONDS = 0.05


def exec_embedded(settings: Settings) -> NoReturn:
    """Become the embedded server, in the foreground, as its user: supervisor's program.

    It stops on SIGINT (at once; clients are disconnected) or SIGTERM (waits for clients). Raises
    AlreadyRunning or EmbeddedUnusable.
    """
    location = prepare_embedded(settings)
    if location.moved_because:
        print(location.moved_because, file=sys.stderr, flush=True)
    # Both locks pass into the server: as long as it lives, no command that ends will stop it.
    server = _take_over(location)
    users = _open_lock(location, _USERS_LOCK)
    fcntl.flock(users, fcntl.LOCK_SH)
    os.ftruncate(server, 0)
    os.pwrite(server, _SUPERVISED, 0)
    _remove_stale_pid_files(location)
    for descriptor in (server, users):
        os.set_inheritable(descriptor, True)
    os.chdir("/")
    if identity := identity_for(location):
        os.setgroups(list(identity.gids))
        os.setgid(identity.gids[0])
        os.setuid(identity.uid)
    command = _command(location, {})
    os.execve(command[0], command, server_environment())


@contextmanager
def start_embedded(
    settings: Settings, *, options: Mapping[str, str] | None = None
) -> Generator[str]:
    """Have the database answer while the block runs, and yield its address (SQLAlchemy, psycopg).

    A server that runs already is used; else one is started, with the server settings in `options`.
    The last user stops it, unless it is supervised. With AETHEX_DATABASE_URL set, only waits for
    that one. Raises DatabaseUnreachable, EmbeddedUnusable.
    """
    if not settings.is_database_embedded:
        url = database_url(settings)
        wait_until_ready(url, timeout_seconds=10)
        yield url
        return
    location = prepare_embedded(settings)
    url = database_url(settings)
    users = _open_lock(location, _USERS_LOCK)
    process: subprocess.Popen[bytes] | None = None
    try:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while the last user before us stops the server
        process = _ensure_running(location, url, options or {})
        yield url
    finally:
        try:
            fcntl.flock(users, fcntl.LOCK_UN)
            _stop_if_unused(location, users)
        finally:
            os.close(users)
            if process is not None and process.poll() is None:
                process.returncode = 0  # others still use it: it is theirs to wait for


def stop_supervised(settings: Settings) -> None:
    """Stop the embedded server whose supervisor was killed; return when its processes are gone.

    For whoever knows that no supervisor runs it. A server that commands started is left alone, and
    so is one that is not ours to signal.
    """
    if not settings.is_database_embedded:
        return
    location = embedded_location(settings)
    with suppress(OSError):  # no folder: there never was a server
        lock = os.open(location.root / SERVER_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.pread(lock, 64, 0) == _SUPERVISED:
                _stop(location, lock)
        finally:
            os.close(lock)


def _ensure_running(
    location: EmbeddedLocation, url: str, options: Mapping[str, str]
) -> subprocess.Popen[bytes] | None:
    """Start the server unless somebody else's runs or is starting; return when it answers.

    Returns the server if it is our child.
    """
    process: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if process is None:
            process = _launch(location, options)
        elif process.poll() is not None:
            raise EmbeddedUnusable(
                f"The embedded Postgres stopped while starting ({_last_words(location)}): "
                f"see {location.root / _LOG_FILE}."
            )
        try:
            wait_until_ready(url, timeout_seconds=0)
        except DatabaseUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return process


def _launch(
    location: EmbeddedLocation, options: Mapping[str, str]
) -> subprocess.Popen[bytes] | None:
    """Start the server as a child that holds the server's lock; None when another one holds it."""
    lock = _open_lock(location, SERVER_LOCK)
    try:
        if not _try_lock(lock):
            return None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"for commands", 0)
        _remove_stale_pid_files(location)
        identity = identity_for(location)
        with _open_log(location) as output:
            return subprocess.Popen(
                _command(location, options),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=server_environment(),
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C on the command must not stop the server under it
                user=identity.uid if identity else None,
                group=identity.gids[0] if identity else None,
                extra_groups=list(identity.gids) if identity else None,
            )
    finally:
        os.close(lock)


def _command(location: EmbeddedLocation, options: Mapping[str, str]) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{location.socket_dir}"',
        "unix_socket_permissions": "0700",
        "hba_file": str(location.root / HBA_FILE),
        "ident_file": str(location.root / IDENT_FILE),
        "logging_collector": "off",
        **options,
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(location.bin_dir / "postgres"), "-D", str(location.data_dir), *arguments]


def _take_over(location: EmbeddedLocation) -> int:
    """Take the server's lock. A server that some command left behind, unused, is stopped first.

    Returns the lock's descriptor. Raises AlreadyRunning.
    """
    lock = _open_lock(location, SERVER_LOCK)
    deadline = time.monotonic() + _TAKEOVER_SECONDS
    while not _try_lock(lock):
        is_supervised = os.pread(lock, 64, 0) == _SUPERVISED
        # Right after a kill -9 its children still hold the lock, but it is gone from the pid file's
        # number.
        if (is_supervised and _running_pid(location)) or time.monotonic() > deadline:
            pid = _running_pid(location)
            os.close(lock)
            what = f"pid {pid}" if pid else "its processes are still ending"
            raise AlreadyRunning(
                f"A Postgres already runs on {location.data_dir} ({what}): "
                "stop it first (Ctrl-C in its `make up`), or set AETHEX_DATA_DIR elsewhere."
            )
        users = _open_lock(location, _USERS_LOCK)
        try:
            _stop_if_unused(location, users)
        finally:
            os.close(users)
        time.sleep(_POLL_SECONDS)
    return lock


def _stop_if_unused(location: EmbeddedLocation, users: int) -> None:
    """Stop the server if nobody shares `users`, and return when all its processes are gone."""
    if not _try_lock(users):
        return
    try:
        lock = _open_lock(location, SERVER_LOCK)
        try:
            _stop(location, lock)
        finally:
            os.close(lock)
    finally:
        fcntl.flock(users, fcntl.LOCK_UN)


def _stop(location: EmbeddedLocation, lock: int) -> None:
    started = time.monotonic()
    sent: signal.Signals | None = None
    while not _try_lock(lock):
        waited = time.monotonic() - started
        wanted = signal.SIGINT if waited < _STOP_SECONDS else signal.SIGQUIT
        if wanted is not sent and (pid := _running_pid(location)):
            with suppress(ProcessLookupError):
                os.kill(pid, wanted)
            sent = wanted
        if waited > 2 * _STOP_SECONDS:
            log.error("Postgres on %s does not stop; it is left running.", location.data_dir)
            return
        time.sleep(_POLL_SECONDS)


def _running_pid(location: EmbeddedLocation) -> int | None:
    """The server's process by its pid file, if that process lives and is a Postgres."""
    pid = _pid_in(location.data_dir / "postmaster.pid")
    return pid if pid and _is_postgres(pid) else None


def _remove_stale_pid_files(location: EmbeddedLocation) -> None:
    """Remove pid files of a dead server; call with the server's lock held.

    After a kill -9, their number may by now be another process of the same user (the rule in a
    container that was started anew), and Postgres would refuse to start for ever. The lock proves
    that no server of ours runs.
    """
    socket_lock = location.socket_path.with_name(location.socket_path.name + ".lock")
    for path in (location.data_dir / "postmaster.pid", socket_lock):
        pid = _pid_in(path)
        if pid and not _is_postgres(pid):
            path.unlink(missing_ok=True)


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_postgres(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # somebody else's, and ours runs as a user that we may signal
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return not Path("/proc/self").exists()  # no /proc (macOS): trust the pid file
    return name == "postgres" and state != "Z"


def _open_lock(location: EmbeddedLocation, name: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(location.root / name, flags, 0o600)
    if identity := identity_for(location):
        os.fchown(descriptor, identity.uid, -1)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _open_log(location: EmbeddedLocation) -> Generator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(location.root / _LOG_FILE, flags, 0o600)
    try:
        if os.fstat(descriptor).st_size > _LOG_MAX_BYTES:
            os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _last_words(location: EmbeddedLocation) -> str:
    with suppress(OSError):
        text = (location.root / _LOG_FILE).read_text(errors="replace")
        return telling_line("\n".join(text.splitlines()[-20:]))
    return "it left no log"
