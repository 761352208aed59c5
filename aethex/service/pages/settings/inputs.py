"""The section "Inputs": where the streams of one's channels come in.

What belongs here: the list, and the forms to add, change and remove one. What does not: what these
do (`service.channel_inputs`), whose channels are shown (`sections`).

A stream key is shown once, in the answer to the form that made it: it is kept nowhere, so there is
no address to load it from again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from aethex.library import (
    Channel,
    ChannelInput,
    InvalidValue,
    NotInLibrary,
    Stream,
    User,
    inputs,
    live,
)
from aethex.library.ids import is_id
from aethex.providers import INPUT_MAKERS, WEBHOOKS, InputKind, ProviderError
from aethex.service import channel_inputs
from aethex.service.channel_inputs import Given, InputRefused, Wanted
from aethex.service.identity import actor_of, required_user
from aethex.service.input_kinds import KINDS
from aethex.service.pages.settings.sections import (
    Refused,
    Section,
    own_channel,
    own_channels,
    saved,
)
from aethex.service.pages.templating import draw
from aethex.service.pages.views import channel_view
from aethex.service.pages.wording import exact_date_text
from aethex.service.problems import not_found
from aethex.service.resources import resources_of
from aethex.settings import Settings

_OURS = {"rtmp": "RTMP, pushed to us", "srt": "SRT, pushed to us", "pull": "Pulled by us"}
_OFFERED = {"rtmp": "RTMP, from OBS or another encoder", "srt": "SRT, from an encoder"}

_NO_FORM = {"channel_id": "", "provider": ""}  # what was sent is of no form that adds an input


@dataclass(frozen=True, slots=True)
class SetupView:
    """What a server of one's own has to be told."""

    label: str
    lines: str
    note: str


@dataclass(frozen=True, slots=True)
class InputView:
    """An input as the list shows it."""

    id: str
    provider: str
    provider_text: str
    name: str
    known_as: str | None
    """The id that its provider knows it by."""
    address: str | None
    pull_url: str | None
    is_keyed: bool
    has_dashboard: bool
    """Its server and key are shown by its provider's dashboard."""
    setup: SetupView | None
    is_live: bool
    live_text: str
    recorder_text: str
    needs_port: bool
    """SRT: the recorder does not listen for it yet."""


def _values(request: Request, s: Session, user: User) -> Mapping[str, Any]:
    settings = resources_of(request).settings
    own = own_channels(request, s, user)
    return {
        "channel": channel_view(own.shown) if own.shown else None,
        "choices": [channel_view(one) for one in own.choices],
        "inputs": _input_views(s, settings, own.shown) if own.shown else [],
        "offered": _offered(settings),
        "most": channel_inputs.MOST_OF_A_CHANNEL,
        "webhooks_off": _without_webhooks(settings),
    }


SECTION = Section("inputs", "Inputs", _values)
router = APIRouter()


@router.post("/inputs", response_class=HTMLResponse)
def add_input(
    request: Request,
    channel_id: Annotated[str, Form()] = "",
    provider: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    external_id: Annotated[str, Form()] = "",
    pull_url: Annotated[str, Form()] = "",
) -> Response:
    """Add an input. Without an id it is made at its provider, where that can be."""
    required_user(request)
    resources = resources_of(request)
    with resources.library.session() as s:
        channel = own_channel(request, s, channel_id)
    wanted = Wanted(
        channel_id=channel.id,
        provider=provider,
        external_id=external_id.strip() or None,
        name=name,
        pull_url=pull_url.strip() or None,
        is_made=not external_id.strip() and channel_inputs.can_make(resources.settings, provider),
    )
    entered = {
        "channel_id": channel.id,
        "provider": provider,
        "name": name[:400],
        "external_id": external_id[:400],
        "pull_url": pull_url[:8192],
    }
    with _refusing(provider, entered):
        given = channel_inputs.add(resources.library, resources.settings, actor_of(request), wanted)
    return _given(request, given, channel, is_new=True)


@router.post("/inputs/{input_id}/new-key", response_class=HTMLResponse)
def new_key(request: Request, input_id: str) -> Response:
    """Another stream key; the old one is good no more."""
    required_user(request)
    resources = resources_of(request)
    channel = _channel_of(request, input_id)
    with _refusing("", _NO_FORM):
        given = channel_inputs.rotate(
            resources.library, resources.settings, actor_of(request), input_id
        )
    return _given(request, given, channel, is_new=False)


@router.post("/inputs/{input_id}/remove")
def remove_input(request: Request, input_id: str) -> Response:
    """Remove it; its streams and VODs stay."""
    required_user(request)
    channel = _channel_of(request, input_id)
    with _refusing("", _NO_FORM):
        channel_inputs.remove(resources_of(request).library, actor_of(request), input_id)
    return saved(SECTION, channel.username)


def _channel_of(request: Request, input_id: str) -> Channel:
    """The channel of an input, if it is the user's. Raises the Problem 404."""
    hidden = not_found("input", input_id)
    if not is_id("inp", input_id):
        raise hidden
    with resources_of(request).library.session() as s:
        try:
            found = inputs.get(s, input_id)
        except NotInLibrary:
            raise hidden from None
        return own_channel(request, s, found.channel_id, hidden=hidden)


@contextmanager
def _refusing(provider: str, entered: Mapping[str, str]) -> Iterator[None]:
    """Let what cannot be stand beside the field that it concerns."""
    try:
        yield
    except InputRefused as error:
        raise Refused(SECTION.name, error.field, str(error), entered) from error
    except InvalidValue as error:
        detail = str(error)
        about = "name" if "input's name" in detail else "pull_url" if provider == "pull" else ""
        field = about or ("external_id" if provider in KINDS else "input")
        raise Refused(SECTION.name, field, detail, entered) from error
    except ProviderError as error:
        raise Refused(SECTION.name, "provider", str(error), entered) from error


def _given(request: Request, given: Given, channel: Channel, *, is_new: bool) -> Response:
    """What was made, with its key where it has one: not to be loaded again."""
    kind = KINDS.get(given.row.provider)
    if given.key is None and (kind is None or kind.setup is None):
        return saved(SECTION, channel.username)
    settings = resources_of(request).settings
    with resources_of(request).library.session() as s:
        stream = live.live_stream(s, given.row.id)
    answer = draw(
        request,
        "input_given.html",
        here="settings",
        input=_input_view(settings, given.row, stream, given.address),
        key=given.key,
        is_new=is_new,
        applied=given.applied,
        channel=channel_view(channel),
        webhooks_off=_without_webhooks(settings),
        back_path=saved(SECTION, channel.username).headers["location"],
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _without_webhooks(settings: Settings) -> frozenset[str]:
    """Providers whose webhooks are refused, because their secret is not set."""
    return frozenset(
        name for name, kind in WEBHOOKS.items() if kind.from_settings(settings) is None
    )


def _input_views(s: Session, settings: Settings, channel: Channel) -> list[InputView]:
    rows = inputs.list_inputs(s, channel.id)
    streams = live.last_streams(s, [row.id for row in rows])
    return [
        _input_view(
            settings, row, streams.get(row.id), channel_inputs.publish_address(settings, row)
        )
        for row in rows
    ]


def _input_view(
    settings: Settings, row: ChannelInput, stream: Stream | None, address: str | None
) -> InputView:
    is_live = stream is not None and stream.status == "live"
    return InputView(
        id=row.id,
        provider=row.provider,
        provider_text=_title(row.provider),
        name=row.name,
        known_as=None if row.external_id == row.id else row.external_id,
        address=address,
        pull_url=row.pull_url,
        is_keyed=channel_inputs.is_keyed(row.provider),
        has_dashboard=row.provider in INPUT_MAKERS,
        setup=_setup_of(row.provider, row.external_id, settings.effective_public_url),
        is_live=is_live,
        live_text=_live_text(stream),
        recorder_text=_recorder_text(row),
        needs_port=row.provider == "srt" and channel_inputs.srt_port(settings, row) is None,
    )


def _live_text(stream: Stream | None) -> str:
    if stream is None or stream.started_at is None:
        return "Never live yet"
    at = exact_date_text(stream.started_at)
    return f"Live since {at}" if stream.status == "live" else f"Last live {at}"


def _recorder_text(row: ChannelInput) -> str:
    if row.is_recorded_by_provider:
        return "Recorded by its provider, copied here when it is ready"
    if row.pull_url is not None or row.provider in ("rtmp", "srt"):
        return "Recorded here"
    return "Not recorded: it has no address to pull from"


def _offered(settings: Settings) -> list[tuple[str, InputKind, bool]]:
    """What can be added on this platform: how it is offered, its kind, and whether it can be made
    at its provider.
    """
    return [
        (_OFFERED.get(name, kind.title), kind, channel_inputs.can_make(settings, name))
        for name, kind in KINDS.items()
        if name != "rtmp" or channel_inputs.takes_rtmp(settings)
    ]


def _title(provider: str) -> str:
    kind = KINDS.get(provider)
    return _OURS.get(provider) or (kind.title if kind else provider)


def _setup_of(provider: str, known_as: str, public_url: str) -> SetupView | None:
    kind = KINDS.get(provider)
    if kind is None or kind.setup is None:
        return None
    setup = kind.setup
    return SetupView(setup.label, setup.lines(public_url, known_as), setup.note)
