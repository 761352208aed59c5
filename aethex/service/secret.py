"""The service's key: what it signs with, the same for all of its processes.

What belongs here: the setting, or the key that is made once and kept. What does not: what is signed
(media addresses, viewers' ids), each with a key derived from this one where it is another purpose.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from aethex.settings import Settings

_KEY_FILE = "media_secret"


def service_key(settings: Settings) -> bytes:
    """The setting's key, or the one kept in the data folder (made if absent)."""
    if settings.media_secret is not None:
        return settings.media_secret.get_secret_value().encode()
    return _kept_key(settings.data_dir / _KEY_FILE)


def _kept_key(path: Path) -> bytes:
    """The key kept in `path`; made once when absent, also when several processes start at once.

    The key is written to a file of its own first and then linked into place: the first link wins,
    and nobody ever reads half a key.
    """
    try:
        return _read_key(path)
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(mine, path)
    finally:
        mine.unlink()
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    key = path.read_text().strip()
    if not key:
        raise ValueError(f"{path} is empty; delete it to have a new media key made.")
    return key.encode()
