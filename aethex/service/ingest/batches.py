"""A body as events: a JSON array, or one JSON object a line (NDJSON).

What belongs here: decoding, and a reason for each part that is no event; the others survive. What
does not: whether an event is acceptable (`acceptance`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from aethex.service.ingest.events import Event
from aethex.service.problems import Problem

MAX_EVENTS = 1_000

_event = msgspec.json.Decoder(Event)
_events = msgspec.json.Decoder(list[Event])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()
_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a batch that is no event. raw: as it came; field: where it is wrong, if known."""

    raw: bytes
    field: str | None
    reason: str
    event_id: str | None


Item = Event | Unreadable


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HYPHENS = (8, 13, 18, 23)


def read_batch(body: bytes) -> list[Item]:
    """The events of a body, in order, each decoded or with the reason why it cannot be.

    Raises Problem (422): the body is neither an array nor lines, or holds no or too many events.
    """
    text = body.lstrip()
    items = _read_array(text) if text.startswith(b"[") else _read_lines(text)
    if not items:
        raise _refused("The body holds no events: send a JSON array, or one object a line.")
    return items


def raws_of(body: bytes) -> Sequence[bytes]:
    """The parts of a body that `read_batch` accepted, as they came, in the same order."""
    text = body.lstrip()
    return _raw_parts(text) if text.startswith(b"[") else _lines(text)


def _read_array(text: bytes) -> list[Item]:
    try:
        found = _events.decode(text)
        _check_count(len(found))
        if _are_well_formed(found):
            return list(found)
        return [_read_one(raw) for raw in _raw_parts(text)]
    except msgspec.ValidationError:
        return [_read_one(raw) for raw in _raw_parts(text)]
    except (msgspec.DecodeError, RecursionError):
        _raw_parts(text)
        raise


def _are_well_formed(events: Sequence[Event]) -> bool:
    """Whether all ids are what they have to be: checked together, at a tenth of the cost of one by
    one. Ids have 36 characters each by now.
    """
    ids = "".join([event.event_id for event in events])
    others = "".join(
        [one for event in events for one in (event.session_id, event.viewer_id) if one is not None]
    )
    hyphens = "-" * len(events)
    return (
        all(ids[place::36] == hyphens for place in _HYPHENS)
        and ids.isascii()
        and ids.encode().translate(None, b"0123456789abcdef") == b"-" * (4 * len(events))
        and others.isascii()
        and others.isprintable()
    )


def _malformed(event: Event) -> tuple[str, str] | None:
    """The id of one event that is not what it has to be, and what is wrong with it."""
    if not _UUID.fullmatch(event.event_id):
        return "event_id", "It is no UUID: give one in lower case, with hyphens."
    for name, one in (("session_id", event.session_id), ("viewer_id", event.viewer_id)):
        if one is not None and not (one.isascii() and one.isprintable()):
            return name, "It has characters other than printable ASCII."
    return None


def _raw_parts(text: bytes) -> list[bytes]:
    """The array's parts as they came. Raises Problem when it is none, or too long."""
    try:
        raws = _raw_list.decode(text)
    except msgspec.DecodeError as error:
        raise _refused(f"The body is no JSON array ({_words(error)}).") from error
    except RecursionError as error:
        raise _refused("The body is nested too deeply.") from error
    _check_count(len(raws))
    return [bytes(raw) for raw in raws]


def _read_lines(text: bytes) -> list[Item]:
    lines = _lines(text)
    _check_count(len(lines))
    if lines and not any(line.startswith(b"{") for line in lines):
        raise _refused("The body is neither a JSON array nor lines of JSON objects.")
    return [_read_one(line) for line in lines]


def _lines(text: bytes) -> list[bytes]:
    return [line for line in (raw.strip() for raw in text.split(b"\n")) if line]


def _read_one(raw: bytes) -> Item:
    try:
        event = _event.decode(raw)
        if problem := _malformed(event):
            return Unreadable(raw, *problem, event.event_id)
        return event
    except msgspec.ValidationError as error:
        field, reason = _explained(error)
        return Unreadable(raw, field, reason, _event_id(raw))
    except msgspec.DecodeError as error:
        return Unreadable(raw, None, f"It is no JSON object ({_words(error)}).", None)
    except RecursionError:
        return Unreadable(raw, None, "It is nested too deeply.", None)


def _explained(error: msgspec.ValidationError) -> tuple[str | None, str]:
    """The field and what is wrong with it, from msgspec's words."""
    words = str(error)
    where = _WHERE.search(words)
    field = where[1] if where else None
    reason = _WHERE.sub("", words)
    if missing := re.search(r"missing required field `([^`]+)`", words):
        return missing[1], "It is missing: add it."
    if unknown := re.search(r"unknown field `([^`]+)`", words):
        return unknown[1], "There is no such field: leave it out, or correct its name."
    if "Invalid value" in words and field == "kind":
        reason = f"{reason}: give playback, chat, follow, engagement or health"
    return field or None, f"{reason.rstrip('.')}."


def _event_id(raw: bytes) -> str | None:
    """The id of something that is no event, to name it in the answer."""
    try:
        found = _any.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    event_id = found.get("event_id") if isinstance(found, dict) else None
    return event_id if isinstance(event_id, str) and len(event_id) <= 64 else None


def _check_count(count: int) -> None:
    if count > MAX_EVENTS:
        raise _refused(f"The body holds {count:,} events: send at most {MAX_EVENTS:,} at once.")


def _words(error: Exception) -> str:
    return str(error).rstrip(".")[:200]


def _refused(detail: str) -> Problem:
    return Problem(422, detail, kind="invalid", title="Cannot be used")
