"""What owners do with captions of their VODs: bring, replace, remove. The API and the pages do it
alike.

What belongs here: who may, the object and the row, and the note of it. What does not: reading
captions (`aethex.media.webvtt`), HTTP bodies and forms.

The object has a key of its own each time, and is there before its row is; an object that no row
names any more goes after that, and with its VOD at the latest.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from fastapi import Request
from ulid import ULID

from aethex.library import InvalidValue, NewCaptions, NotInLibrary, Vod, audit, captions
from aethex.library.models import CaptionsKind
from aethex.media.captions import captions_label
from aethex.media.errors import BadCaptions
from aethex.media.languages import MAX_TAG_CHARACTERS, canonical_language
from aethex.media.vod import CONTENT_TYPES
from aethex.media.webvtt import Captions, parse_captions, time_text, write_webvtt
from aethex.service.identity import actor_of, required_user
from aethex.service.problems import Problem, bad_field, shorten
from aethex.service.resources import resources_of
from aethex.service.vod_access import own_vod
from aethex.store import StoreError


@dataclass(frozen=True)
class Brought:
    """Captions as somebody sent them. `label`: empty for the language's own name."""

    language: str
    data: bytes
    label: str = ""
    kind: CaptionsKind = "captions"


def put_captions(request: Request, vod_id: str, brought: Brought) -> Vod:
    """Store captions, in the place of those that the VOD has in this language.

    Raises Problem: 401, 403, 404, 409 for a VOD that takes none now, 422 for what cannot be read,
    which names the line.
    """
    required_user(request)
    resources = resources_of(request)
    with resources.library.session() as session:
        vod = own_vod(request, session, vod_id)
    language = checked_language(brought.language)
    read = _read(brought.data, vod.duration_ms)
    data = write_webvtt(read.cues)
    key = f"vods/{vod.channel_id}/{vod.stream_id}/{vod.id}/captions-{language}-{ULID()}.vtt"
    new = NewCaptions(
        language=language,
        label=captions_label(language, brought.label),
        kind=brought.kind,
        source="owner",
        key=key,
        bytes=len(data),
        cues=len(read.cues),
    )
    resources.store.put(key, data, content_type=CONTENT_TYPES[".vtt"])
    try:
        with resources.library.session() as session:
            vod = own_vod(request, session, vod_id)
            replaced = captions.put(session, vod_id, new)
            audit.record(
                session, actor_of(request), "vod.captions", vod_id, language=language, cues=new.cues
            )
    except (InvalidValue, NotInLibrary, Problem) as error:
        _delete(request, key)  # not for other errors: who knows whether the row is there
        if isinstance(error, InvalidValue):
            raise Problem(409, str(error), kind="captions-not-taken") from None
        raise
    if replaced is not None:
        _delete(request, replaced)
    return vod


def remove_captions(request: Request, vod_id: str, language: str) -> Vod:
    """Take captions away. Raises Problem: 401, 403, 404, 409 for a VOD whose captions stay now."""
    required_user(request)
    tag = canonical_language(language) or language
    with resources_of(request).library.session() as session:
        vod = own_vod(request, session, vod_id)
        try:
            key = captions.remove(session, vod_id, tag)
        except InvalidValue as error:
            raise Problem(409, str(error), kind="captions-not-taken") from None
        if key is None:
            raise Problem(404, f"There are no captions in {shorten(language)}.", kind="not-found")
        audit.record(session, actor_of(request), "vod.captions.remove", vod_id, language=tag)
    _delete(request, key)
    return vod


def checked_language(text: str) -> str:
    """The tag as BCP 47 writes it. Raises the Problem 422."""
    language = canonical_language(text)
    if language is None:
        raise bad_field(
            "language",
            f"{shorten(text, MAX_TAG_CHARACTERS)!r} is no language." if text else "It is empty.",
            "Give a tag such as en, de or pt-BR (BCP 47).",
        )
    return language


def _read(data: bytes, duration_ms: int | None) -> Captions:
    if not data:
        raise bad_field("captions", "There is no file.", "Choose a .vtt or .srt file.")
    try:
        read = parse_captions(data)
    except BadCaptions as error:
        raise bad_field("captions", str(error), "Correct the file and send it again.") from None
    first_ms = read.cues[0].start_ms
    if duration_ms is not None and first_ms >= duration_ms:
        raise bad_field(
            "captions",
            f"The first cue begins at {time_text(first_ms)}, after the end of the VOD "
            f"({time_text(duration_ms)}).",
            "Send the captions of this VOD, with times from its beginning.",
        )
    return read


def _delete(request: Request, key: str) -> None:
    """An object that nothing names; should the store fail now, it goes with its VOD."""
    with suppress(StoreError):
        resources_of(request).store.delete([key])
