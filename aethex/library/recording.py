"""Queries about how a channel's streams are recorded and how long its VODs stay.

What belongs here: a channel's own wishes over the platform's defaults. What does not: recording
(the workers), and which VODs have to go (`retention`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.errors import InvalidValue
from aethex.library.models import RecordingSettings
from aethex.settings import Settings

FORMATS = ("hls", "mp4")
"""HLS for watching, which every VOD has; MP4 for download."""

_MOST_DAYS = 36_500
_MOST_SECONDS = 86_400


@dataclass(frozen=True)
class RecordingPolicy:
    """How a channel's streams are recorded."""

    is_enabled: bool
    min_duration_seconds: int
    """A shorter recording is a test: it is not shown, and is deleted a day later."""
    delete_after_days: int
    """How long a VOD stays after its stream; 0: for ever."""
    is_user_delete_allowed: bool
    """Whether the channel's owner may delete VODs."""
    formats: tuple[str, ...]


@dataclass(frozen=True)
class RecordingWishes:
    """What a channel wants otherwise than the platform; None: as the platform has it."""

    is_enabled: bool | None = None
    min_duration_seconds: int | None = None
    delete_after_days: int | None = None
    is_user_delete_allowed: bool | None = None
    formats: tuple[str, ...] | None = None


def platform_policy(settings: Settings) -> RecordingPolicy:
    """What holds for channels that wish nothing else. Raises InvalidValue for unknown formats."""
    return RecordingPolicy(
        is_enabled=settings.recording_enabled,
        min_duration_seconds=settings.recording_min_seconds,
        delete_after_days=settings.recording_delete_after_days,
        is_user_delete_allowed=settings.recording_user_delete,
        formats=_valid_formats(settings.recording_formats),
    )


def policy_of(s: Session, channel_id: str, settings: Settings) -> RecordingPolicy:
    """What holds for this channel."""
    return policies_of(s, [channel_id], settings)[channel_id]


def policies_of(
    s: Session, channel_ids: Iterable[str], settings: Settings
) -> dict[str, RecordingPolicy]:
    """What holds for each of these channels."""
    default = platform_policy(settings)
    ids = [*channel_ids]
    rows = s.scalars(select(RecordingSettings).where(RecordingSettings.channel_id.in_(ids)))
    own = {row.channel_id: _over(default, row) for row in rows}
    return {channel_id: own.get(channel_id, default) for channel_id in ids}


def wishes_of(s: Session, channel_id: str) -> RecordingWishes:
    """What the channel wishes otherwise than the platform."""
    row = s.get(RecordingSettings, channel_id, populate_existing=True)
    if row is None:
        return RecordingWishes()
    return RecordingWishes(
        is_enabled=row.is_enabled,
        min_duration_seconds=row.min_duration_seconds,
        delete_after_days=row.delete_after_days,
        is_user_delete_allowed=row.is_user_delete_allowed,
        formats=None if row.formats is None else tuple(row.formats),
    )


def set_wishes(s: Session, channel_id: str, wishes: RecordingWishes) -> None:
    """Set what the channel wishes. Raises InvalidValue."""
    values: dict[str, Any] = {
        "is_enabled": wishes.is_enabled,
        "min_duration_seconds": _within(
            wishes.min_duration_seconds, "minimum duration in seconds", _MOST_SECONDS
        ),
        "delete_after_days": _within(wishes.delete_after_days, "number of days", _MOST_DAYS),
        "is_user_delete_allowed": wishes.is_user_delete_allowed,
        "formats": None if wishes.formats is None else list(_valid_formats(wishes.formats)),
    }
    made = insert(RecordingSettings).values(channel_id=channel_id, **values)
    s.execute(made.on_conflict_do_update(index_elements=["channel_id"], set_=values))


def check_owners_wishes(
    s: Session, channel_id: str, wishes: RecordingWishes, settings: Settings
) -> None:
    """Raises InvalidValue where the channel's owner may not delete VODs, and wishes them to go
    sooner than they do now and than the platform's: that would be deleting them all.
    """
    now, platform = policy_of(s, channel_id, settings), platform_policy(settings)
    wished = wishes.delete_after_days
    if now.is_user_delete_allowed or wished is None:
        return
    if all(_is_sooner(wished, one.delete_after_days) for one in (now, platform)):
        days = platform.delete_after_days
        least = f"give {days:,} days or more" if days else "leave them for ever"
        raise InvalidValue(f"VODs of this channel may not be deleted by its owner: {least}.")


def _is_sooner(days: int, than_days: int) -> bool:
    return days != 0 and (than_days == 0 or days < than_days)  # 0: never


def _over(default: RecordingPolicy, row: RecordingSettings) -> RecordingPolicy:
    def either(own: Any, platforms: Any) -> Any:
        return platforms if own is None else own

    formats = default.formats if row.formats is None else tuple(row.formats)
    return RecordingPolicy(
        is_enabled=either(row.is_enabled, default.is_enabled),
        min_duration_seconds=either(row.min_duration_seconds, default.min_duration_seconds),
        delete_after_days=either(row.delete_after_days, default.delete_after_days),
        is_user_delete_allowed=either(row.is_user_delete_allowed, default.is_user_delete_allowed),
        formats=formats,
    )


def _valid_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """In the order of FORMATS. Watching needs HLS, so it is always among them."""
    wanted = {*formats}
    if unknown := sorted(wanted - {*FORMATS}):
        raise InvalidValue(f"{unknown[0]!r} is no format of a recording: give hls, or hls,mp4.")
    return tuple(one for one in FORMATS if one in wanted | {"hls"})


def _within(value: int | None, what: str, most: int) -> int | None:
    if value is not None and not 0 <= value <= most:
        raise InvalidValue(f"The {what} is {value}: give 0 to {most:,}.")
    return value
