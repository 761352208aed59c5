"""What only its owner is told of a VOD: how much of its stream it holds, what is still being made,
and when it goes.

What belongs here: which rows that needs, and its wording. What does not: the sums
(`library.ledger`), when a VOD goes (`library.retention`), HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from aethex.library import GapCause, JobState, Stream, Vod, jobs, ledger, recording, retention
from aethex.library import vods as library_vods
from aethex.library.ledger import Gap, Ledger
from aethex.library.recording import RecordingPolicy
from aethex.service.pages.wording import (
    count_text,
    date_text,
    duration_text,
    exact_time_text,
    gap_text,
)
from aethex.settings import Settings

SOON = timedelta(days=30)
"""From when on the end of a VOD is a warning."""

MOST_GAPS = 100
"""Of more gaps the longest are listed."""

CAUSES: dict[GapCause, str] = {
    "recorder_down": "The recorder was stopped or restarted",
    "store": "The store was away for so long that the recorder's disk was full",
    "network": "The connection to the address that is pulled was lost",
    "encoder_reconnect": "The encoder lost its connection",
    "dropped": "The encoder's clock jumped",
    "late_start": "Before the first picture that could be recorded",
    "unknown": "Not known",
}


@dataclass(frozen=True, slots=True)
class GapView:
    """A row of the list of gaps. Times are the stream's; `at_text` is its begin by the clock."""

    from_text: str
    to_text: str
    at_text: str
    length_text: str
    cause_text: str


@dataclass(frozen=True, slots=True)
class OwnerNotes:
    """What is told. Texts that are None do not apply."""

    state_text: str | None
    is_recording: bool
    making_text: str | None
    captured_text: str | None
    missing_text: str | None
    expiry_text: str | None
    is_soon: bool
    gaps: Sequence[GapView] = ()
    gaps_note: str | None = None


def notes_of(
    s: Session, settings: Settings, found: Sequence[tuple[Vod, Stream | None]], now: datetime
) -> dict[str, OwnerNotes]:
    """What is told of each of these VODs, by its id. Ask it for VODs of the visitor's only."""
    ids = [vod.id for vod, _ in found]
    if not ids:
        return {}
    policies = recording.policies_of(s, {vod.channel_id for vod, _ in found}, settings)
    ledgers = ledger.ledgers(s, ledger.recorded_live(s, ids))
    made = jobs.last_states(s, library_vods.DERIVE_KIND, ids)
    return {
        vod.id: owner_notes(
            vod, stream, policies[vod.channel_id], ledgers.get(vod.id), made.get(vod.id), now
        )
        for vod, stream in found
    }


def owner_notes(
    vod: Vod,
    stream: Stream | None,
    policy: RecordingPolicy,
    found: Ledger | None,
    made: JobState | None,
    now: datetime,
) -> OwnerNotes:
    """The same of one VOD. Pure. `made`: its last job that makes storyboard and MP4."""
    expiry, is_soon = _expiry(vod, stream, policy, now)
    is_recording = vod.status == "processing" and stream is not None and stream.status == "live"
    started_at = stream.started_at if stream else None
    listed = sorted(found.gaps, key=lambda gap: -gap.duration_ms)[:MOST_GAPS] if found else []
    missing_ms = found.expected_ms - found.captured_ms if found else 0
    return OwnerNotes(
        state_text=_state(vod, is_recording),
        is_recording=is_recording,
        making_text=_making(vod, policy, made),
        captured_text=captured_text(found) if found else None,
        missing_text=gap_text(missing_ms) if missing_ms else None,
        expiry_text=expiry,
        is_soon=is_soon,
        gaps=[_gap_view(gap, started_at) for gap in sorted(listed, key=lambda gap: gap.from_ms)],
        gaps_note=f"The {MOST_GAPS} longest of {len(found.gaps):,} gaps."
        if found and len(found.gaps) > MOST_GAPS
        else None,
    )


def captured_text(found: Ledger) -> str | None:
    """`99.97 % captured, 2 gaps`, never rounded up; None of a stream of no time."""
    if not found.expected_ms:
        return None
    if not found.gaps:
        return "100 % captured"
    percent = math.floor(found.captured_ms * 10_000 / found.expected_ms) / 100
    return f"{percent:.2f} % captured, {count_text(len(found.gaps), 'gap', 'gaps')}"


def _state(vod: Vod, is_recording: bool) -> str | None:
    if vod.status == "ready":
        return None
    if vod.status == "failed":
        return "Could not be made"
    return "Recording now" if is_recording else "Being finished"


def _making(vod: Vod, policy: RecordingPolicy, made: JobState | None) -> str | None:
    if vod.status != "ready" or vod.storyboard_key is not None or made in (None, "done"):
        return None
    has_mp4 = vod.mp4_key is not None or "mp4" not in policy.formats
    what = "Storyboard and preview" if has_mp4 else "Storyboard, preview and MP4"
    return f"{what} {'could not be' if made in ('failed', 'cancelled') else 'are being'} made"


def _expiry(
    vod: Vod, stream: Stream | None, policy: RecordingPolicy, now: datetime
) -> tuple[str | None, bool]:
    """What is said of the end of a VOD, and whether it is a warning."""
    undo_until = retention.undo_until(vod)
    if undo_until is not None:
        if vod.purge_started_at is not None or undo_until <= now:
            return "Its video is being deleted", True
        return f"Can be restored until {date_text(undo_until)}", True
    if vod.status != "ready" or (stream is not None and stream.status == "live"):
        return None, False
    ended_at = stream.ended_at if stream else None
    at = retention.expires_at(vod, ended_at, policy.delete_after_days)
    if at is None:
        return None, False
    if at <= now:
        return "Deleted by the next clean-up", True
    return f"Kept until {date_text(at)}", at - now <= SOON


def _gap_view(gap: Gap, started_at: datetime | None) -> GapView:
    at = started_at + timedelta(milliseconds=gap.from_ms) if started_at else None
    return GapView(
        from_text=duration_text(gap.from_ms) or "",
        to_text=duration_text(gap.to_ms) or "",
        at_text=exact_time_text(at) if at else "",
        length_text=gap_text(gap.duration_ms),
        cause_text=CAUSES[gap.cause],
    )
