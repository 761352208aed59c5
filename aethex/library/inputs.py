"""Queries about channels' inputs: where their live streams come in.

What belongs here: their rows, stream keys, and what each kind of input starts with. What does not:
what is told of them (`live`), asking their providers (`aethex.providers`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import PROVIDER_PATTERN, ChannelInput, Stream
from aethex.library.values import valid_text

OUR_PROVIDERS = ("rtmp", "srt", "pull")
"""`rtmp` and `srt` are pushed to our recorder, `pull` is only pulled by it. All others tell of
their streams by webhooks; which there are is not for the library to know.
"""

PULL_SCHEMES = ("rtmp", "rtmps", "srt", "http", "https")
MAX_RECONNECT_SECONDS = 24 * 3600

DEFAULT_RECONNECT_SECONDS = 60
_KEY_BYTES = 24


@dataclass(frozen=True)
class LiveInput:
    """A live stream and the provider's input that it comes in by."""

    stream_id: str
    channel_id: str
    provider: str
    external_id: str


def new_stream_key() -> str:
    """A random stream key, 32 characters that need no escaping in a URL. It is shown once."""
    return secrets.token_urlsafe(_KEY_BYTES)


def key_digest(key: str) -> str:
    """What is stored of a stream key. It is random, so a plain SHA-256 does."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def add_input(
    s: Session,
    channel_id: str,
    provider: str,
    external_id: str | None = None,
    *,
    name: str = "",
    key: str | None = None,
    pull_url: str | None = None,
    is_recorded_by_provider: bool = False,
    reconnect_seconds: int = DEFAULT_RECONNECT_SECONDS,
) -> ChannelInput:
    """A new input of a channel.

    `external_id` may be left out for `rtmp`, `srt` and `pull`, which are known to nobody else: the
    row's own id stands for it. Of `key` only a digest is stored.
    Raises InvalidValue for an input that is already somebody's, or a value that cannot be one.
    """
    _check_provider(provider)
    input_id = new_id("inp")
    if external_id is None and provider not in OUR_PROVIDERS:
        raise InvalidValue(f"An input of {provider} needs the id that {provider} knows it by.")
    if provider == "pull" and pull_url is None:
        raise InvalidValue("An input that is pulled needs an address: give its URL.")
    external_id = input_id if external_id is None else valid_text(external_id, "input's id")
    values = {
        "id": input_id,
        "provider": provider,
        "external_id": external_id,
        "channel_id": channel_id,
        "name": valid_text(name, "input's name") if name.strip() else "",
        "key_digest": key_digest(key) if key is not None else None,
        "pull_url": valid_pull_url(pull_url) if pull_url is not None else None,
        "is_recorded_by_provider": is_recorded_by_provider,
        "reconnect_seconds": valid_reconnect_seconds(reconnect_seconds),
    }
    made = s.scalars(  # in one step: two that add it at once are told alike
        insert(ChannelInput)
        .values(values)
        .on_conflict_do_nothing(index_elements=["provider", "external_id"])
        .returning(ChannelInput)
    ).one_or_none()
    if made is None:
        raise InvalidValue(
            f"Input {external_id} of {provider} is there already: `aethex inputs list` shows whose."
        )
    return made


def _check_provider(name: str) -> None:
    if not re.fullmatch(PROVIDER_PATTERN, name):
        raise InvalidValue(f"{name!r} cannot be a provider: write it as cloudflare.")


def valid_reconnect_seconds(seconds: int) -> int:
    """The window unchanged. Raises InvalidValue for one that cannot be."""
    if not 0 <= seconds <= MAX_RECONNECT_SECONDS:
        raise InvalidValue(
            f"A reconnect window of {seconds} s cannot be: give 0 to {MAX_RECONNECT_SECONDS} "
            "seconds."
        )
    return seconds


def valid_pull_url(text: str) -> str:
    """The address unchanged. Raises InvalidValue when a recorder could not pull from it."""
    try:
        parts = urlsplit(text.strip())
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address, parts = False, None
    if parts is None or parts.scheme not in PULL_SCHEMES or not is_address:
        raise InvalidValue(
            f"{text[:80]!r} cannot be pulled: give an address that starts with "
            f"{', '.join(f'{scheme}://' for scheme in PULL_SCHEMES)} and a host."
        )
    return valid_text(text, "address")


def get(s: Session, input_id: str) -> ChannelInput:
    """The input of this id. Raises NotInLibrary."""
    found = s.get(ChannelInput, input_id)
    if found is None:
        raise NotInLibrary(f"There is no input {input_id}: `aethex inputs list` shows them.")
    return found


def locked(s: Session, input_id: str) -> ChannelInput:
    """The input of this id, locked until the session ends. Raises NotInLibrary.

    Whoever changes an input's streams or recordings takes this lock first, so that nobody waits in
    a circle. What only points at the input does not wait for it.
    """
    query = (
        select(ChannelInput)
        .where(ChannelInput.id == input_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = s.scalars(query).one_or_none()
    if found is None:
        raise NotInLibrary(f"There is no input {input_id}: `aethex inputs list` shows them.")
    return found


def by_external_id(s: Session, provider: str, external_id: str) -> ChannelInput | None:
    """The input that this provider knows by that id, if somebody has added it."""
    return s.scalars(
        select(ChannelInput).where(
            ChannelInput.provider == provider, ChannelInput.external_id == external_id
        )
    ).one_or_none()


def by_stream_key(s: Session, provider: str, key: str) -> ChannelInput | None:
    """The provider's input that has this stream key. None: the key is nobody's."""
    return s.scalars(
        select(ChannelInput).where(
            ChannelInput.provider == provider, ChannelInput.key_digest == key_digest(key)
        )
    ).one_or_none()


def is_key_of(of: ChannelInput, key: str) -> bool:
    """Whether that is the input's stream key; compared in constant time. Not where it has none."""
    return of.key_digest is not None and hmac.compare_digest(key_digest(key), of.key_digest)


def set_stream_key(s: Session, input_id: str, key: str) -> ChannelInput:
    """Give the input another stream key; the old one is good no more. Raises NotInLibrary."""
    found = get(s, input_id)
    found.key_digest = key_digest(key)
    s.flush()
    return found


def widen_reconnect(s: Session, input_id: str, seconds: int) -> None:
    """Await a reconnect as long as the input's provider does, where that is longer: its recording
    goes on until then. Never shorter, so that the order in which it is told does not matter.
    """
    wanted = min(seconds, MAX_RECONNECT_SECONDS)
    s.execute(
        update(ChannelInput)
        .where(ChannelInput.id == input_id, ChannelInput.reconnect_seconds < wanted)
        .values(reconnect_seconds=wanted)
    )


def list_inputs(s: Session, channel_id: str | None = None) -> Sequence[ChannelInput]:
    """All inputs, or one channel's, the oldest first."""
    query = select(ChannelInput).order_by(ChannelInput.id)
    if channel_id is not None:
        query = query.where(ChannelInput.channel_id == channel_id)
    return s.scalars(query).all()


def remove(s: Session, input_id: str) -> None:
    """Remove an input and its signals; its streams stay. Raises NotInLibrary without it, and
    InvalidValue while a stream of it is live.
    """
    locked(s, input_id)
    live = select(Stream.id).where(Stream.input_id == input_id, Stream.status == "live").limit(1)
    if (stream_id := s.scalar(live)) is not None:
        raise InvalidValue(
            f"Stream {stream_id} is live on input {input_id}: end it first, by "
            "stopping the encoder, or where nobody streams by `aethex inputs end`."
        )
    s.execute(delete(ChannelInput).where(ChannelInput.id == input_id))


def live_inputs(s: Session) -> Sequence[LiveInput]:
    """All live streams whose input is known, by their ids."""
    query = (
        select(Stream.id, Stream.channel_id, ChannelInput.provider, ChannelInput.external_id)
        .join(ChannelInput, ChannelInput.id == Stream.input_id)
        .where(Stream.status == "live")
        .order_by(Stream.id)
    )
    return [LiveInput(*row) for row in s.execute(query)]
