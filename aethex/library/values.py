"""Checks of what comes from outside before it is stored: usernames, names, titles."""

from __future__ import annotations

import re
import unicodedata

from aethex.library.errors import InvalidValue
from aethex.library.models import USERNAME_PATTERN

MAX_TEXT_LENGTH = 300
MAX_PROSE_LENGTH = 5_000


def valid_username(text: str) -> str:
    """The username unchanged. Raises InvalidValue when it is not 2–40 of a-z, 0-9, `_` and `-`."""
    if re.fullmatch(USERNAME_PATTERN, text):
        return text
    raise InvalidValue(
        f"{text!r} cannot be a username: write 2 to 40 of a-z, 0-9, _ and -, "
        f"starting with a letter or digit{_suggestion(text)}."
    )


def valid_text(text: str, what: str) -> str:
    """A title or name without the spaces around it.

    Raises InvalidValue when it is empty, longer than 300 characters or has control characters.
    """
    stripped = text.strip()
    if not stripped:
        raise InvalidValue(f"The {what} is empty: give it a text.")
    if len(stripped) > MAX_TEXT_LENGTH:
        raise InvalidValue(
            f"The {what} {stripped[:40]!r}… has {len(stripped)} characters: "
            f"shorten it to {MAX_TEXT_LENGTH}."
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in stripped):
        raise InvalidValue(f"The {what} {stripped!r} has control characters: remove them.")
    return stripped


def valid_prose(text: str, what: str) -> str:
    """A longer text without the spaces around it; lines may break, and it may be empty.

    Raises InvalidValue when it is longer than 5,000 characters or has other control characters.
    """
    stripped = text.strip().replace("\r\n", "\n")
    if len(stripped) > MAX_PROSE_LENGTH:
        raise InvalidValue(
            f"The {what} has {len(stripped):,} characters: shorten it to {MAX_PROSE_LENGTH:,}."
        )
    if any(
        unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
        for character in stripped
    ):
        raise InvalidValue(f"The {what} has control characters: remove them.")
    return stripped


def _suggestion(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    candidate = re.sub(r"[^a-z0-9_-]+", "_", ascii_text).strip("_-")[:40]
    return f", such as {candidate!r}" if re.fullmatch(USERNAME_PATTERN, candidate) else ""
