"""Why something was not fetched. Every message is one line that names the address.

What stands in an address after `?` may be a token, so it is never part of a message.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_MOST_CHARACTERS = 200


class FetchError(Exception):
    """Base of these errors."""


class FetchRefused(FetchError):
    """An address that is not asked, whatever would be there. Trying again does not help."""


class FetchTooLarge(FetchError):
    """The answer is larger than is accepted. Trying again does not help."""


class FetchFailed(FetchError):
    """The other side did not answer, or not with what was asked for.

    `status` is its HTTP status where there was one; `can_retry`: it may be otherwise later.
    """

    def __init__(self, message: str, *, status: int | None = None, can_retry: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.can_retry = can_retry


def shown(url: str) -> str:
    """The address for a message: without user, query and fragment, and not endless."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "<no address>"
    text = f"{parts.scheme}://{host}{parts.path}" if host else url.partition("?")[0]
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
