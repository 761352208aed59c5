"""Webhooks' bodies: read as fields, without secrets, and what a field says.

What belongs here: JSON and forms, taking secrets out, and typed looks at untyped fields: what is
not of the type is not there. What does not: which fields a provider sends.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from aethex.providers.notices import Sent, Unreadable

REDACTED = "[redacted]"
_MOST_FIELDS = 200
_DEEPEST = 12
_LONGEST_TEXT = 2_000
_MOST_BYTES = 2**53
_MOST_SECONDS = 366 * 86_400

# An address that holds a secret: rtmp://host/live?key=…, ?token=…, rtmp://user:password@host
_QUERY = re.compile(r"\?\S*=\S*")
_USER = re.compile(r"(?<=//)[^/\s@]+@")


def read_fields(sent: Sent) -> dict[str, Any]:
    """The body's fields: of JSON, or of a form. Raises Unreadable."""
    kind = sent.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return read_form(sent.body)
    return read_json(sent.body)


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Unreadable."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise Unreadable("The body is no JSON object.") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(f"The body is no JSON: {error}.") from error


def read_form(body: bytes, said_once: Collection[str] = ()) -> dict[str, Any]:
    """A form's fields, of repeated ones the last. Raises Unreadable, also where one of `said_once`
    is said differently a second time.
    """
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        raise Unreadable(f"The body is no form: {error}.") from error
    for name in said_once:
        if len({value for key, value in pairs if key == name}) > 1:
            raise Unreadable(f"The form says two things of {name}.")
    return dict(pairs)


def redact(fields: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The fields as they may be kept: what is named in `secrets` (in small letters) at any depth is
    taken out, and so is the query of every address. Also what no JSON column could hold.
    """
    return _redacted_map(fields, secrets, 0)


def _redacted_map(
    fields: Mapping[str, Any], secrets: Collection[str], depth: int
) -> dict[str, Any]:
    return {
        clean(str(name)): REDACTED
        if str(name).lower() in secrets and value not in (None, "")
        else _redacted(value, secrets, depth + 1)
        for name, value in [*fields.items()][:_MOST_FIELDS]
    }


def _redacted(value: Any, secrets: Collection[str], depth: int) -> Any:
    match value:
        case dict() | list() if depth > _DEEPEST:
            return "…"
        case dict():
            return _redacted_map(cast("dict[str, Any]", value), secrets, depth)
        case list():
            several = cast("list[Any]", value)[:_MOST_FIELDS]
            return [_redacted(one, secrets, depth + 1) for one in several]
        case str():
            return _QUERY.sub("?" + REDACTED, _USER.sub(REDACTED + "@", clean(value)))
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def clean(value: str) -> str:
    """A text as a column can hold it, and no longer than is of use."""
    whole = value.encode("utf-8", "replace").decode().replace("\0", "�")
    return whole[:_LONGEST_TEXT]


def text(fields: Any, *path: str) -> str | None:
    """The text at this path, without spaces around it; None where there is none."""
    found = at(fields, *path)
    return clean(found).strip() or None if isinstance(found, str) else None


def number(fields: Any, *path: str) -> float | None:
    """A number that is not negative, also one written as text; None where there is none."""
    found = at(fields, *path)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        value = float(found)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and 0 <= value < _MOST_BYTES else None


def whole(fields: Any, *path: str) -> int | None:
    """A whole number that is not negative, such as bytes."""
    found = number(fields, *path)
    return int(found) if found is not None else None


def seconds(fields: Any, *path: str) -> float | None:
    """A length in seconds; None also for one of more than a year, which nothing here lasts: what is
    computed from it would be no time.
    """
    found = number(fields, *path)
    return found if found is not None and found <= _MOST_SECONDS else None


def moment(fields: Any, *path: str) -> datetime | None:
    """A time, ISO 8601 (also with nanoseconds) or seconds since 1970; without a zone it is UTC.

    None for one of the year 1, which is Go's word for no time.
    """
    found = at(fields, *path)
    try:
        if isinstance(found, str) and not found.isdecimal():
            shortened = re.sub(r"(\.\d{6})\d+", r"\1", found.strip())
            value = datetime.fromisoformat(shortened)
            value = value.replace(tzinfo=UTC) if value.tzinfo is None else value
            return value.astimezone(UTC) if value.year > 1 else None
        since_1970 = number(fields, *path)
        return datetime.fromtimestamp(since_1970, UTC) if since_1970 is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def at(fields: Any, *path: str) -> Any:
    """What stands at this path; None where nothing does."""
    found = fields
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = cast("Mapping[str, Any]", found).get(name)
    return found


def texts(fields: Any, *path: str) -> list[str]:
    """The texts of a list."""
    return [clean(one) for one in items(fields, *path) if isinstance(one, str)]


def items(fields: Any, *path: str) -> list[Any]:
    """The items of a list; none where there is no list."""
    found = at(fields, *path)
    return cast("list[Any]", found) if isinstance(found, list) else []


def digest(fields: Mapping[str, Any]) -> str:
    """A key for what has no id of its own: the same for the same fields. Of redacted fields, so
    that it gives nobody a way to try secrets.
    """
    encoded = msgspec.json.encode(dict(fields), order="sorted")
    return hashlib.sha256(encoded).hexdigest()
