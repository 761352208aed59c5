"""HTTP ranges and conditions (RFC 9110, sections 13 and 14) as pure functions.

What belongs here: reading `Range`, `If-Range`, `If-None-Match` and `If-Modified-Since` against an
object's size, entity tag and time. What does not: reading the object or sending a response.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_RANGE = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE | re.ASCII)
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')


class NotSatisfiable(Exception):
    """The asked range lies outside the object: answer 416."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `end`, half open, of an object."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def content_range(self, size_bytes: int) -> str:
        """The value of the `Content-Range` header (whose end is inclusive)."""
        return f"bytes {self.start}-{self.end - 1}/{size_bytes}"


def parse_range(value: str | None, size_bytes: int) -> ByteRange | None:
    """The one range that `value` asks of an object of `size_bytes`, or None for the whole object.

    A malformed range, another unit, and several ranges at once are ignored, as the RFC allows.
    Raises NotSatisfiable when the range is well formed but has no byte in the object.
    """
    match = _RANGE.fullmatch(value.strip()) if value else None
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:  # the last n bytes
        length = min(int(last), size_bytes)
        if length == 0:
            raise NotSatisfiable
        return ByteRange(size_bytes - length, size_bytes)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size_bytes:
        raise NotSatisfiable
    return ByteRange(start, min(int(last) + 1, size_bytes) if last else size_bytes)


def entity_tag(value: str) -> str:
    """A store's etag as a strong HTTP entity tag."""
    bare = value.removeprefix("W/").strip('"')
    return '"' + re.sub(r"[^\x21\x23-\x7e]", "", bare) + '"'


def is_not_modified(headers: Mapping[str, str], etag: str, modified_at: datetime | None) -> bool:
    """Whether the client's copy is still good (answer 304). `If-None-Match` outranks the date."""
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        if if_none_match.strip() == "*":
            return True
        given = {tag.removeprefix("W/") for tag in _ENTITY_TAG.findall(if_none_match)}
        return etag.removeprefix("W/") in given
    since = _http_date(headers.get("if-modified-since"))
    return since is not None and modified_at is not None and _whole_seconds(modified_at) <= since


def wanted_range(
    headers: Mapping[str, str], size_bytes: int, etag: str, modified_at: datetime | None
) -> ByteRange | None:
    """The range to answer with, or None for the whole object. Raises NotSatisfiable.

    A range whose `If-Range` names another version is ignored: the client gets the new object whole.
    """
    if_range = headers.get("if-range")
    if if_range is not None and not _is_same_version(if_range.strip(), etag, modified_at):
        return None
    return parse_range(headers.get("range"), size_bytes)


def http_date(moment: datetime) -> str:
    """`moment` as an HTTP date."""
    return format_datetime(_whole_seconds(moment), usegmt=True)


def _is_same_version(if_range: str, etag: str, modified_at: datetime | None) -> bool:
    if if_range.startswith(('"', "W/")):
        return if_range == etag  # strong comparison: a weak tag never matches
    date = _http_date(if_range)
    return date is not None and modified_at is not None and _whole_seconds(modified_at) == date


def _http_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
