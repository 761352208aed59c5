"""Passwords: which are taken, and how they are hashed (argon2id).

What belongs here: pure functions of a password. What does not: rows (`accounts`), and how many are
hashed at once (the service).
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aethex.library.errors import InvalidValue

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 200
_PASSES = 3  # RFC 9106, section 4: with 64 MiB, for where 2 GiB are too much
_DECORATION = "0123456789!?._-#*@ "


def valid_password(password: str, username: str) -> str:
    """The password itself. Raises InvalidValue, which does not repeat it."""
    if len(password) < LEAST_CHARACTERS:
        raise InvalidValue(
            f"The password has {len(password)} characters: write at least {LEAST_CHARACTERS}."
        )
    if len(password) > MOST_CHARACTERS:
        raise InvalidValue(f"The password is too long: write at most {MOST_CHARACTERS} characters.")
    core = password.casefold().strip(_DECORATION)
    if core in ("", username.casefold().strip(_DECORATION)) or len(set(password)) < 4:
        raise InvalidValue(
            "The password is too easy to guess: use neither the username, digits alone nor a few "
            "characters again and again."
        )
    return password


class Passwords:
    """Hashes and compares passwords; each takes `memory_bytes` while it is worked on."""

    def __init__(self, memory_bytes: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=_PASSES, memory_cost=memory_bytes // 1024, parallelism=1
        )

    def hash(self, password: str) -> str:
        """What is stored of it: random salt, cost and hash in one text."""
        return self._hasher.hash(_normal(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether it is the password of which `stored` was kept. With None, which nothing matches,
        it takes as long: nobody learns by the clock who has an account.
        """
        if stored is None or len(password) > MOST_CHARACTERS:
            self.hash(password[:MOST_CHARACTERS])
            return False
        try:
            return self._hasher.verify(stored, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed at another cost than is set now."""
        return self._hasher.check_needs_rehash(stored)


def _normal(password: str) -> bytes:
    """Keyboards write one character in several ways (NFKC makes them one). What is no text at all
    still has bytes.
    """
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
