"""Who owns the demo's channels: the account `demo`, with a random password.

What belongs here: making it once, and giving it the channels that nobody owns. What does not: the
channels (`load`). The password is written to a file that only the platform's user can read; it is
printed nowhere.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from sqlalchemy.orm import Session

from aethex.demo.content import CHANNELS
from aethex.library import Channel, Library, User, accounts, channels, users
from aethex.library.audit import COMMAND_LINE
from aethex.library.passwords import Passwords
from aethex.settings import Settings

USERNAME = "demo"
_FILE = "demo_password"
_PASSWORD_BYTES = 12


def password_path(settings: Settings) -> Path:
    """Where the password is kept."""
    return settings.data_dir / _FILE


def needs_owner(settings: Settings) -> bool:
    """Whether a channel of the demo is nobody's."""
    with Library.open(settings) as library, library.session() as s:
        return bool(_without_owner(s))


def give_owner(settings: Settings) -> bool:
    """Let the account own the demo's channels that are nobody's; whether it does.

    Somebody else who took the name before gets nothing. An account that was forgotten does not come
    back: its channels are those of a user without a name.
    """
    passwords = Passwords(settings.password_memory_bytes)
    password = _kept_password(password_path(settings))
    with Library.open(settings) as library, library.session() as s:
        owner = _account(s, passwords, password)
        if owner is None:
            return False
        for channel in _without_owner(s):
            channels.claim(s, COMMAND_LINE, channel.id, owner.id)
    return True


def _without_owner(s: Session) -> list[Channel]:
    found = (channels.by_username(s, channel.username) for channel in CHANNELS)
    return [channel for channel in found if channel is not None and channel.owner_id is None]


def _account(s: Session, passwords: Passwords, password: str) -> User | None:
    """The demo's own account; None where the name is somebody else's."""
    if users.by_username(s, USERNAME) is None:
        hashed = passwords.hash(password)
        return accounts.sign_up(s, COMMAND_LINE, USERNAME, "Demo creator", hashed)
    found = accounts.with_password(s, USERNAME)
    return found[0] if found and passwords.matches(found[1], password) else None


def _kept_password(path: Path) -> str:
    """The password in the file, made when it is not there."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(_PASSWORD_BYTES) + "\n")
    return path.read_text().strip()
