"""Ids: a prefix that says what it is, and a ULID, so that ids sort by the time they were made."""

from __future__ import annotations

from typing import Literal, get_args

from ulid import ULID

Prefix = Literal[
    "usr", "ch", "cat", "st", "sseg", "vod", "run", "inp", "tok", "hook", "prec", "job", "wrk"
]
PREFIXES: tuple[Prefix, ...] = get_args(Prefix)

_ULID_LENGTH = 26


def new_id(prefix: Prefix) -> str:
    """A new id, such as `ch_01K9Z3…`. It holds the time it was made at, to the millisecond."""
    return f"{prefix}_{ULID()}"


def is_id(prefix: Prefix, text: str) -> bool:
    """Whether the text could be such an id; for input from outside, before it is looked up."""
    start, separator, rest = text.partition("_")
    if start != prefix or not separator or len(rest) != _ULID_LENGTH:
        return False
    try:
        # Crockford's alphabet reads O as 0 and lower case as upper; only the one spelling is an id.
        return str(ULID.from_str(rest)) == rest
    except ValueError:
        return False
