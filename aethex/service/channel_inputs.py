"""Adding, changing and removing a channel's inputs. The settings page and the commands do it alike.

What belongs here: the steps and their order, where an encoder publishes to, and the note of each
change. What does not: who may (the page), rows and keys (`library.inputs`), the providers' APIs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from ulid import ULID

from aethex.fetch import FetchError, checked_address
from aethex.library import (
    ChannelInput,
    InvalidValue,
    Library,
    audit,
    inputs,
    live,
    provider_recordings,
)
from aethex.library.audit import Actor
from aethex.library.values import valid_text
from aethex.providers import INPUT_MAKERS, MadeInput
from aethex.providers.making import API_SECONDS
from aethex.service import inbox
from aethex.service.input_kinds import KINDS, kind_of
from aethex.settings import Settings
from aethex.workers.recorder.srt import parsed_inputs

MOST_OF_A_CHANNEL = 20
"""Inputs that people give a channel on the pages: each that is pulled is asked again and again."""

_EVERYWHERE = ("0.0.0.0", "::")
_ONLY_HERE = ("127.0.0.1", "::1", "localhost")


class InputRefused(InvalidValue):
    """What was asked for cannot be; `field` is the part of it that is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True, slots=True)
class Wanted:
    """An input that somebody wants. None: as its provider has it.

    `is_made`: by the provider's API; then it gives the id.
    """

    channel_id: str
    provider: str
    external_id: str | None = None
    name: str = ""
    pull_url: str | None = None
    is_made: bool = False
    is_recorded_by_provider: bool | None = None
    reconnect_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An input and, this once, its stream key; None: it has none of ours, or keeps what it has."""

    row: ChannelInput
    address: str | None
    """Where an encoder publishes to; None: its provider knows."""
    key: str | None = field(default=None, repr=False)
    applied: int = 0
    """Webhooks that had waited for it."""


def can_make(settings: Settings, provider: str) -> bool:
    """Whether live inputs can be made at this provider: it has an API, and we its token."""
    kind = INPUT_MAKERS.get(provider)
    return kind is not None and kind.from_settings(settings) is not None


def is_keyed(provider: str) -> bool:
    """Whether its inputs get a stream key from us."""
    return provider in KINDS and KINDS[provider].is_keyed


def takes_rtmp(settings: Settings) -> bool:
    """Whether the recorder listens for RTMP."""
    return settings.rtmp_port != 0


def add(library: Library, settings: Settings, actor: Actor, wanted: Wanted) -> Given:
    """Add an input, and apply what waited for it.

    Raises InvalidValue (InputRefused where the part is known) and, where the provider makes it,
    ProviderError; then nothing was added.
    """
    kind = kind_of(wanted.provider)
    if kind.name == "rtmp" and not takes_rtmp(settings):
        raise InputRefused("provider", "RTMP is not taken here: set AETHEX_RTMP_PORT.")
    name = valid_text(wanted.name, "input's name") if wanted.name.strip() else ""
    pull_url = None if wanted.pull_url is None else checked_pull_url(settings, wanted.pull_url)
    # all is checked before the provider makes an input that nobody would know of
    reconnect_seconds = inputs.valid_reconnect_seconds(_reconnect_seconds(wanted))
    with library.session() as s:
        if actor.user_id and len(inputs.list_inputs(s, wanted.channel_id)) >= MOST_OF_A_CHANNEL:
            raise InputRefused(
                "provider", f"A channel has {MOST_OF_A_CHANNEL} inputs at most: remove one first."
            )
    made = _make(settings, wanted, name) if wanted.is_made else None
    key = inputs.new_stream_key() if kind.is_keyed else None
    is_recorded_there = wanted.is_recorded_by_provider
    with library.session() as s:
        row = inputs.add_input(
            s,
            wanted.channel_id,
            kind.name,
            made.external_id if made else wanted.external_id,
            name=name,
            key=key,
            pull_url=pull_url,
            is_recorded_by_provider=kind.is_recorded_there
            if is_recorded_there is None
            else is_recorded_there,
            reconnect_seconds=reconnect_seconds,
        )
        changes = {"provider": kind.name, "input_of": row.external_id}
        if pull_url is not None:  # the rest of the address may be a key
            changes["pull_host"] = urlsplit(pull_url).hostname or ""
        audit.record(s, actor, "input.add", row.id, channel_id=wanted.channel_id, **changes)
    applied = inbox.apply_for_input(library, row.provider, row.external_id, inbox.utc_now)
    if made is not None:
        return Given(row, made.publish_url, made.stream_key, applied)
    return Given(row, publish_address(settings, row), key, applied)


def rotate(library: Library, settings: Settings, actor: Actor, input_id: str) -> Given:
    """Give an input another stream key; the old one is good no more.

    Raises NotInLibrary, and InvalidValue where the key is its provider's.
    """
    key = inputs.new_stream_key()
    with library.session() as s:
        row = inputs.get(s, input_id)
        if not is_keyed(row.provider):
            raise InvalidValue(
                f"The stream key of {input_id} is {row.provider}'s: change it there."
            )
        inputs.set_stream_key(s, input_id, key)
        audit.record(s, actor, "input.new_key", input_id, channel_id=row.channel_id)
    return Given(row, publish_address(settings, row), key)


def end(library: Library, actor: Actor, input_id: str) -> str:
    """End the stream that is live on an input, because nobody will say that it is over: the webhook
    of its end was lost, or its server died. What connects then is the next. The stream's id.

    Raises NotInLibrary, and InvalidValue where none is live, or our recorder knows by itself.
    """
    now = inbox.utc_now()
    with library.session() as s:
        row = inputs.locked(s, input_id)
        if row.provider in inputs.OUR_PROVIDERS:
            raise InvalidValue("The recorder ends it: stop the encoder, or what is pulled.")
        stream = live.live_stream(s, input_id)
        if stream is None:
            raise InvalidValue(f"No stream is live on input {input_id}.")
        live.signal(s, input_id, "ended", now, f"operator:{ULID()}", now)
        provider_recordings.link(s, input_id, now)
        audit.record(s, actor, "input.end", input_id, channel_id=row.channel_id, stream=stream.id)
        return stream.id


def remove(library: Library, actor: Actor, input_id: str) -> None:
    """Remove an input. Its streams and VODs stay; at its provider nothing is changed.

    Raises NotInLibrary, and InvalidValue while a stream of it is live.
    """
    with library.session() as s:
        row = inputs.get(s, input_id)
        was = {"provider": row.provider, "input_of": row.external_id, "channel_id": row.channel_id}
        inputs.remove(s, input_id)
        audit.record(s, actor, "input.remove", input_id, **was)


def checked_pull_url(settings: Settings, url: str) -> str:
    """The address, which the recorder may pull from as far as is known now.

    Raises InputRefused: no address, one of a private network, a name that leads nowhere.
    """
    try:
        valid = inputs.valid_pull_url(url)
        checked_address(valid, settings, schemes=inputs.PULL_SCHEMES)
    except (InvalidValue, FetchError) as error:
        raise InputRefused("pull_url", str(error)) from error
    return valid


def publish_address(settings: Settings, row: ChannelInput) -> str | None:
    """Where an encoder publishes to; KEY stands for the stream key, PORT for a port that the
    platform's settings have to name. None: its provider knows, or nobody publishes.
    """
    if row.provider == "rtmp":
        return f"rtmp://{_host(settings)}:{settings.rtmp_port}/live"
    if row.provider == "srt":
        port = srt_port(settings, row)
        return f"srt://{_host(settings)}:{port or 'PORT'}?mode=caller&passphrase=KEY"
    kind = KINDS.get(row.provider)
    if kind is not None and kind.server is not None:
        return f"rtmp://<your {kind.server}>/{row.external_id}?key=KEY"
    return None


def srt_port(settings: Settings, row: ChannelInput) -> int | None:
    """The port on which the recorder takes this input; None: AETHEX_SRT_INPUTS has not its key."""
    text = settings.srt_inputs.get_secret_value() if settings.srt_inputs else ""
    try:
        listening = parsed_inputs(text, settings.host)
    except ValueError:  # the recorder says so
        return None
    return next((one.port for one in listening if inputs.is_key_of(row, one.passphrase)), None)


def _host(settings: Settings) -> str:
    """The recorder's host as encoders reach it: the public one, else the one it listens on."""
    if settings.public_url is None and settings.host not in (*_EVERYWHERE, *_ONLY_HERE):
        host = settings.host
    else:
        host = urlsplit(settings.effective_public_url).hostname or "localhost"
    return f"[{host}]" if ":" in host else host


def _make(settings: Settings, wanted: Wanted, name: str) -> MadeInput:
    if wanted.external_id is not None:
        raise InputRefused(
            "external_id", "The provider gives the id of what it makes: leave it out."
        )
    kind = INPUT_MAKERS.get(wanted.provider)
    if kind is None:
        raise InputRefused("provider", f"Only {' and '.join(INPUT_MAKERS)} make inputs.")
    maker = kind.from_settings(settings)
    if maker is None:
        needed = " and ".join(kind.needed_settings)
        raise InputRefused("provider", f"Making it needs {needed}: set them.")
    with httpx.Client(timeout=API_SECONDS, trust_env=False) as http:
        return maker.make(
            http,
            name or wanted.channel_id,
            is_recorded=wanted.is_recorded_by_provider is not False,
            reconnect_seconds=_reconnect_seconds(wanted),
        )


def _reconnect_seconds(wanted: Wanted) -> int:
    seconds = wanted.reconnect_seconds
    return kind_of(wanted.provider).reconnect_seconds if seconds is None else seconds
