"""What can go wrong with objects, in one line that names the setting and the remedy.

What belongs here: the store's errors, and their making from obstore's and the system's. Import them
from `aethex.store`.
"""

from __future__ import annotations

import errno
import re

from obstore import exceptions as obstore_errors


class StoreError(Exception):
    """An object operation failed. The message is one line: what, which setting, what to do."""


class NotFound(StoreError):
    """There is no object with this key."""


class AlreadyExists(StoreError):
    """`create` found an object with this key."""


class Conflict(StoreError):
    """`replace` found another version of the object than `if_match`, or none."""


class RangeNotSatisfiable(StoreError):
    """The range begins at or behind the object's end."""


class StoreUnreachable(StoreError):
    """The store does not answer."""


class StoreFull(StoreError):
    """The disk of a folder store is full."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNREACHABLE = re.compile(
    r"error sending request|error decoding response|connect|timed? ?out|status code: 5\d\d", re.I
)


def translate(error: Exception, key: str, url: str, is_local: bool) -> StoreError:
    """The store's error for one of obstore or the system: one line, setting and remedy named."""
    text = str(error)
    if "NoSuchBucket" in text:
        return StoreError(f"There is no bucket for {url}: create it or correct AETHEX_STORE_URL.")
    if "InvalidRange" in text:
        return RangeNotSatisfiable(f"The range begins behind the end of {key} in {url}.")
    if isinstance(error, FileNotFoundError) or "Not a directory (os error 20)" in text:
        return NotFound(f"There is no {key} in {url}.")
    is_refused = isinstance(
        error, obstore_errors.PermissionDeniedError | obstore_errors.UnauthenticatedError
    )
    if is_refused or "status code: 403" in text or "status code: 401" in text:  # a list says it so
        return StoreError(
            f"The store {url} refuses the credentials: check AETHEX_STORE_ACCESS_KEY_ID and "
            "AETHEX_STORE_SECRET_ACCESS_KEY."
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return StoreFull(
            f"The disk of the store {url} is full: free space, or set AETHEX_STORE_URL elsewhere."
        )
    if isinstance(error, PermissionError):
        return StoreError(
            f"No permission for {error.filename or key} in the store {url}: correct the folder's "
            "owner, or set AETHEX_STORE_URL elsewhere."
        )
    if not is_local and _UNREACHABLE.search(text):
        return StoreUnreachable(
            f"The store {url} does not answer ({_cause(text)}): check AETHEX_STORE_URL and "
            "AETHEX_STORE_ENDPOINT, and that it runs."
        )
    return StoreError(f"The store {url} failed at {key or 'its check'}: {first_line(error)}")


def _cause(text: str) -> str:
    endpoint = re.search(r"https?://[^/ ]+", text)
    status = re.search(r"status code: (\d+)", text)
    return f"{endpoint[0] if endpoint else 'no address'}{f', HTTP {status[1]}' if status else ''}"


def first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].strip()[:300]
