"""The section "Recording": how the streams of one's channels are recorded, how long VODs stay.

What belongs here: the form of a channel, with what the platform has beside it. What does not: what
holds (`library.recording`), which VODs go (`library.retention`).

Whether owners may delete VODs is decided by admins: who could allow it to themselves would not be
kept from it. Nor may who may not let VODs go sooner than the platform does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from aethex.library import Channel, User, audit, recording, retention
from aethex.library.recording import RecordingPolicy, RecordingWishes
from aethex.service.identity import actor_of, required_user, visitor_of
from aethex.service.pages.settings.sections import (
    Refused,
    Section,
    own_channel,
    own_channels,
    refusing,
    saved,
)
from aethex.service.pages.views import ChannelView, channel_view
from aethex.service.pages.wording import count_text
from aethex.service.resources import resources_of
from aethex.settings import Settings

_YES_NO = {"": None, "yes": True, "no": False}
_FORMATS = {"": None, "hls": ("hls",), "hls,mp4": ("hls", "mp4")}
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class ChannelRecording:
    """A channel's form: what is entered, what the platform has, and what follows."""

    channel: ChannelView
    shown: Mapping[str, str]
    platform: Mapping[str, str]
    may_delete: bool
    prefix: str
    too_old: str | None


def _values(request: Request, s: Session, user: User) -> Mapping[str, Any]:
    settings, now = resources_of(request).settings, datetime.now(UTC)
    own = own_channels(request, s, user)
    return {
        "one": _channel_recording(s, settings, own.shown, now) if own.shown else None,
        "choices": [channel_view(one) for one in own.choices],
        "is_admin": visitor_of(request).is_admin,
    }


SECTION = Section("recording", "Recording", _values)
router = APIRouter()


@router.post("/recording")
def save_recording(
    request: Request,
    channel_id: Annotated[str, Form()] = "",
    enabled: Annotated[str, Form()] = "",
    min_seconds: Annotated[str, Form()] = "",
    keep: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "",
    formats: Annotated[str, Form()] = "",
    user_delete: Annotated[str, Form()] = "",
) -> Response:
    """Keep what the channel wishes; what is empty is as the platform has it."""
    required_user(request)
    entered = {
        **{"channel_id": channel_id, "enabled": enabled, "min_seconds": min_seconds[:40]},
        **{"keep": keep, "days": days[:40], "formats": formats, "user_delete": user_delete},
    }
    with resources_of(request).library.session() as s:
        channel = own_channel(request, s, channel_id)
        before = recording.wishes_of(s, channel_id)
        wishes = RecordingWishes(
            is_enabled=_chosen(_YES_NO, "enabled", entered),
            min_duration_seconds=_number("min_seconds", entered) if min_seconds.strip() else None,
            delete_after_days=_days(entered),
            is_user_delete_allowed=_chosen(_YES_NO, "user_delete", entered)
            if visitor_of(request).is_admin
            else before.is_user_delete_allowed,
            formats=_chosen(_FORMATS, "formats", entered),
        )
        field = "min_seconds" if (wishes.min_duration_seconds or 0) > 86_400 else "days"
        with refusing(SECTION, field, **entered):
            if not visitor_of(request).is_admin:
                settings = resources_of(request).settings
                recording.check_owners_wishes(s, channel_id, wishes, settings)
            recording.set_wishes(s, channel_id, wishes)
        changed = _changed(before, wishes)
        if changed:
            audit.record(s, actor_of(request), "recording.change", channel_id, **changed)
    return saved(SECTION, channel.username)


def _chosen(choices: Mapping[str, Any], name: str, entered: Mapping[str, str]) -> Any:
    if entered[name] not in choices:
        raise Refused(SECTION.name, name, "Choose one of the list.", entered)
    return choices[entered[name]]


def _days(entered: Mapping[str, str]) -> int | None:
    """The days that are wished; 0: never, None: as the platform has it."""
    if entered["keep"] not in ("", "days", "never"):
        raise Refused(SECTION.name, "days", "Choose one of the three.", entered)
    if entered["keep"] != "days":
        return 0 if entered["keep"] == "never" else None
    days = _number("days", entered)
    if days == 0:
        raise Refused(SECTION.name, "days", "Give 1 day or more, or choose Never.", entered)
    return days


def _number(name: str, entered: Mapping[str, str]) -> int:
    text = entered[name].strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise Refused(
            SECTION.name, name, f"{text[:20]!r} is no number: give one such as 90.", entered
        )
    return int(text)


def _changed(before: RecordingWishes, after: RecordingWishes) -> dict[str, list[Any]]:
    old, new = vars(before), vars(after)
    return {name: [old[name], new[name]] for name in new if old[name] != new[name]}


def _channel_recording(
    s: Session, settings: Settings, channel: Channel, now: datetime
) -> ChannelRecording:
    policy = recording.policy_of(s, channel.id, settings)
    too_old = retention.count_expired(s, channel.id, now, policy.delete_after_days)
    return ChannelRecording(
        channel=channel_view(channel),
        shown=_shown(recording.wishes_of(s, channel.id)),
        platform=_platform(recording.platform_policy(settings)),
        may_delete=policy.is_user_delete_allowed,
        prefix=f"vods/{channel.id}/<stream>/",
        too_old=_too_old_text(too_old),
    )


def _too_old_text(count: int) -> str | None:
    if not count:
        return None
    vods = count_text(count, "VOD is", "VODs are")
    return (
        f"{vods} older than that and will be deleted by the next clean-up. Until then a longer "
        "time keeps them."
    )


def _shown(wishes: RecordingWishes) -> dict[str, str]:
    """The wishes as the form's fields have them."""
    days = wishes.delete_after_days
    return {
        "enabled": _yes_no(wishes.is_enabled),
        "min_seconds": ""
        if wishes.min_duration_seconds is None
        else f"{wishes.min_duration_seconds}",
        "keep": "" if days is None else "days" if days else "never",
        "days": f"{days}" if days else "",
        "formats": "" if wishes.formats is None else ",".join(wishes.formats),
        "user_delete": _yes_no(wishes.is_user_delete_allowed),
    }


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _platform(policy: RecordingPolicy) -> dict[str, str]:
    days = policy.delete_after_days
    return {
        "enabled": _yes_no(policy.is_enabled),
        "min_seconds": f"{policy.min_duration_seconds}",
        "keep": f"after {count_text(days, 'day', 'days')}" if days else "never",
        "formats": "HLS and MP4" if "mp4" in policy.formats else "HLS",
        "user_delete": _yes_no(policy.is_user_delete_allowed),
    }
