"""The ledger of a VOD: how much of its stream's live time is in it, what is missing, and why.

What belongs here: the sums, and the query behind them. What does not: words for people (pages).

Gaps are computed from runs and segments, so they cannot disagree with what plays; only causes are
stored (`CaptureBreak`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from aethex.library.errors import NotInLibrary
from aethex.library.models import (
    Capture,
    CaptureBreak,
    GapCause,
    ProviderRecording,
    Stream,
    Vod,
    VodRun,
    VodSegment,
)

SHORTEST_GAP_MS = 50
"""About a frame: runs are placed by the clock of arrival, which is no finer."""
SHORTEST_END_MS = 1_000
"""A stream's end is told a little after its last frame; that is not missing."""
SHORTEST_EDGE_MS = 5_000
EDGE_SHARE = 0.01
"""Of what was recorded here, a hole at the begin or the end without a cause is missing when it is
longer than both (a share of the expected time). What an encoder sent came in order or its loss was
noted, so such a hole is the encoder's own: it connects before its first frame is ready, and its
clock is not ours, which a long stream shows at the end."""
_SLACK_MS = 3_000  # a break is noticed a little before or after its gap
# What explains most comes first: a recorder that is down lets encoders reconnect.
_STRONGEST_FIRST: tuple[GapCause, ...] = (
    *("recorder_down", "store", "network", "encoder_reconnect", "dropped", "late_start"),
)
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing, on the stream's axis: `[from_ms, to_ms)` from its start."""

    from_ms: int
    to_ms: int
    cause: GapCause

    @property
    def duration_ms(self) -> int:
        return self.to_ms - self.from_ms


@dataclass(frozen=True, slots=True)
class Ledger:
    """`captured_ms` and the gaps' durations add up to `expected_ms`, the stream's live time."""

    expected_ms: int
    captured_ms: int
    gaps: tuple[Gap, ...]

    @property
    def captured_ratio(self) -> float:
        """0–1; 1 for a stream that was live for no time."""
        return self.captured_ms / self.expected_ms if self.expected_ms else 1.0


def ledger(s: Session, vod_id: str, now: datetime | None = None) -> Ledger:
    """The ledger of a VOD of any origin. Of a live stream it reaches to `now`, or, without one, to
    the end of what was captured. Raises NotInLibrary.
    """
    found = ledgers(s, [vod_id], now)
    if vod_id not in found:
        raise NotInLibrary(f"There is no VOD {vod_id}: check the id.")
    return found[vod_id]


def ledgers(
    s: Session, vod_ids: Iterable[str], now: datetime | None = None
) -> Mapping[str, Ledger]:
    """The same of several VODs, in three queries; those that do not exist are left out."""
    query = select(Vod.id, Stream.id, Stream.started_at, Stream.ended_at)
    rows = s.execute(
        query.join(Stream, Stream.id == Vod.stream_id).where(Vod.id.in_([*vod_ids]))
    ).all()
    pieces = _pieces(s, [row[0] for row in rows])
    breaks = _breaks(s, {row[1] for row in rows})
    here = {*s.scalars(select(Capture.vod_id).where(Capture.vod_id.in_(list(pieces))))}
    found: dict[str, Ledger] = {}
    for vod_id, stream_id, started_at, ended_at in rows:
        if started_at is None:
            found[vod_id] = Ledger(0, 0, ())
            continue
        covered = [
            (_ms(at - started_at), _ms(at - started_at) + length_ms)
            for at, length_ms in pieces[vod_id]
        ]
        until = ended_at or now
        end_ms = max((end for _, end in covered), default=0)
        expected_ms = _ms(until - started_at) if until else end_ms
        causes: list[tuple[int, GapCause]] = [
            (_ms(at - started_at), cause) for at, cause in breaks[stream_id]
        ]
        edge_ms = max(SHORTEST_EDGE_MS, round(expected_ms * EDGE_SHARE))
        found[vod_id] = measure(
            expected_ms, covered, causes, edge_ms=edge_ms if vod_id in here else 0
        )
    return found


def recorded_live(s: Session, vod_ids: Iterable[str]) -> set[str]:
    """Those of the VODs that were recorded while their stream was live, here or by its provider:
    of what was imported nobody knows how much there was.
    """
    ids = [*vod_ids]
    here = select(Capture.vod_id).where(Capture.vod_id.in_(ids))
    there = select(ProviderRecording.vod_id).where(ProviderRecording.vod_id.in_(ids))
    return {vod_id for vod_id in s.scalars(union(here, there)) if vod_id is not None}


def _pieces(s: Session, vod_ids: Sequence[str]) -> Mapping[str, list[tuple[datetime, int]]]:
    """Of each VOD, its runs: the wall clock of their begin, and how long they are."""
    runs = (
        select(
            VodRun.vod_id, VodRun.started_at, func.max(VodSegment.start_ms + VodSegment.duration_ms)
        )
        .join(VodSegment, VodSegment.run_id == VodRun.id)
        .where(VodRun.vod_id.in_(vod_ids))
        .group_by(VodRun.id)
    )
    found: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for vod_id, at, length_ms in s.execute(runs):
        found[vod_id].append((at, length_ms))
    return found


def _breaks(s: Session, stream_ids: Iterable[str]) -> Mapping[str, list[tuple[datetime, GapCause]]]:
    query = select(CaptureBreak.stream_id, CaptureBreak.at, CaptureBreak.cause)
    found: dict[str, list[tuple[datetime, GapCause]]] = defaultdict(list)
    for stream_id, at, cause in s.execute(query.where(CaptureBreak.stream_id.in_([*stream_ids]))):
        found[stream_id].append((at, cause))
    return found


def measure(
    expected_ms: int,
    covered: Iterable[tuple[int, int]],
    breaks: Sequence[tuple[int, GapCause]] = (),
    *,
    edge_ms: int = 0,
) -> Ledger:
    """The sums over pieces `[from, to)` in any order, on the stream's axis; they may overlap and
    reach beyond it. Holes shorter than SHORTEST_GAP_MS count as captured, at the end those shorter
    than SHORTEST_END_MS, and at the begin and the end those up to `edge_ms` that have no cause.
    """
    gaps: list[Gap] = []
    position = 0
    for start, end in [*sorted(covered), (expected_ms, expected_ms)]:
        start = min(start, expected_ms)
        noted = _noted_cause(position, start, breaks)
        is_end = start == expected_ms and position > 0
        shortest_ms = SHORTEST_END_MS if is_end else SHORTEST_GAP_MS
        if noted is None and (is_end or position == 0):
            shortest_ms = max(shortest_ms, edge_ms + 1)
        if start - position >= shortest_ms:
            usual: GapCause = "late_start" if position == 0 else "unknown"
            gaps.append(Gap(position, start, noted or usual))
        position = max(position, end)
    missing_ms = sum(gap.duration_ms for gap in gaps)
    return Ledger(expected_ms, expected_ms - missing_ms, tuple(gaps))


def _noted_cause(
    from_ms: int, to_ms: int, breaks: Sequence[tuple[int, GapCause]]
) -> GapCause | None:
    near = {cause for at_ms, cause in breaks if from_ms - _SLACK_MS <= at_ms <= to_ms + _SLACK_MS}
    return next((cause for cause in _STRONGEST_FIRST if cause in near), None)


def _ms(duration: timedelta) -> int:
    return round(duration / _MS)
