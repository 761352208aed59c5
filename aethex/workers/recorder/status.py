"""What is recorded now, and what should be but is not.

What belongs here: the verdict, from what the library knows and what waits on this machine's disk.
Pure. What does not: queries (`aethex.library.recording_now`), recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from aethex.library import inputs
from aethex.library.recording_now import InputNow
from aethex.settings import Settings
from aethex.workers.recorder.spool import SpooledSegment
from aethex.workers.recorder.srt import parsed_inputs

RecordingState = Literal["recorded", "not recorded", "awaited", "idle", "not ours"]
"""`not recorded`: it is live and should be. `awaited`: its encoder was lost and may come back.
`idle`: nobody publishes. `not ours`: our recorder has nothing to do with it.
"""

SILENT_AFTER = timedelta(seconds=60)
"""A segment lasts 30 s at most, so of a stream that is recorded one came since."""


@dataclass(frozen=True)
class InputStatus:
    """An input, what its state is and why, and when its last segment ended."""

    now: InputNow
    state: RecordingState
    why: str
    last_segment_at: datetime | None


def statuses(
    found: Iterable[InputNow], waiting: Sequence[SpooledSegment], settings: Settings, at: datetime
) -> list[InputStatus]:
    """The state of each input at that moment. `waiting`: what is on this machine's disk."""
    ends: dict[str, datetime] = {}
    for segment in waiting:
        end_ms = segment.start_ms + segment.duration_ms
        end = segment.run.started_at + timedelta(milliseconds=end_ms)
        stream_id = segment.run.stream_id
        ends[stream_id] = max(end, ends.get(stream_id, end))
    return [_status(now, ends, settings, at) for now in found]


def _status(
    now: InputNow, ends: dict[str, datetime], settings: Settings, at: datetime
) -> InputStatus:
    on_disk = ends.get(now.stream.id) if now.stream else None
    last = max(filter(None, (now.last_end_at, on_disk)), default=None)
    state, why = _others(now) or _idle(now, settings) or _live(now, last, at)
    return InputStatus(now, state, why, last)


def _others(now: InputNow) -> tuple[RecordingState, str] | None:
    """What our recorder does not record."""
    if now.input.is_recorded_by_provider:
        return "not ours", f"{now.input.provider} records it"
    if not now.is_wanted:
        return "not ours", "the channel is not recorded"
    if now.input.provider not in inputs.OUR_PROVIDERS and now.input.pull_url is None:
        return "not ours", "it has no address to pull from"
    return None


def _idle(now: InputNow, settings: Settings) -> tuple[RecordingState, str] | None:
    if now.stream is not None:
        return None
    if now.input.pull_url is not None:
        return "idle", "nothing comes from its address" if now.input.provider == "pull" else ""
    if now.input.provider == "rtmp" and not settings.rtmp_port:
        return "idle", "nobody listens: AETHEX_RTMP_PORT is 0"
    if now.input.provider == "srt" and not _has_srt_port(now, settings):
        return "idle", "nobody listens: AETHEX_SRT_INPUTS has not its key"
    return "idle", ""


def _live(now: InputNow, last: datetime | None, at: datetime) -> tuple[RecordingState, str]:
    if now.input.settles_at is not None:
        return "awaited", f"lost; the stream ends at {now.input.settles_at:%H:%M:%S}"
    if now.holder is None:
        return "not recorded", "no recorder has it: see `aethex status` and recorder.log"
    heard_at = max(filter(None, (last, now.connected_at)), default=None)
    if heard_at is None or at - heard_at > SILENT_AFTER:
        return "not recorded", f"{now.holder.name} has it, but no segment comes: see recorder.log"
    return "recorded", now.holder.name


def _has_srt_port(now: InputNow, settings: Settings) -> bool:
    text = settings.srt_inputs.get_secret_value() if settings.srt_inputs else ""
    try:
        listening = parsed_inputs(text, settings.host)
    except ValueError:  # the recorder says so
        return False
    return any(inputs.is_key_of(now.input, one.passphrase) for one in listening)
