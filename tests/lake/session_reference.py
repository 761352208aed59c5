"""What sessions, views and audiences must be, from docs/metrics.md alone; and made-up players.

Slow and independent of the models: no SQL, whole milliseconds, one session after the other, and no
days until the very end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import strategies as st

from tests.model_runs import Row

DAY_MS = 24 * 3600 * 1000
SILENCE_MS = 90_000
VIEW_MS = 10_000
ORIGIN = datetime(2024, 2, 28, 22, tzinfo=UTC)
ORIGIN_MS = int(ORIGIN.timestamp() * 1000)


@dataclass(frozen=True)
class Beat:
    """One event of a player. at_ms: when it occurred, in ms since 1970, as the platform sees it."""

    at_ms: int
    sequence: int
    elapsed_ms: int
    position_ms: int
    from_position_ms: int | None = None
    is_paused: bool = False


@dataclass(frozen=True)
class Session:
    """A player's events, and who watched what."""

    id: str
    content_id: str
    viewer_id: str | None
    beats: tuple[Beat, ...]
    crawler: str | None = None

    @property
    def kind(self) -> str:
        return self.content_id.split("_")[0].replace("st", "stream")


@dataclass
class Interval:
    """A stretch of presence, [from_ms, to_ms), and each step's watched time in it."""

    from_ms: int
    to_ms: int
    steps: list[tuple[int, int, int]] = field(default_factory=list)  # from, to, watched

    def watched_before(self, moment_ms: int) -> int:
        """Watched up to a moment: of the step that it cuts, in proportion to its time."""
        total = 0
        for begin, end, watched in self.steps:
            if moment_ms >= end:
                total += watched
            elif moment_ms > begin:
                total += watched * (moment_ms - begin) // (end - begin)
        return total


def intervals(session: Session) -> list[Interval]:
    """A session's intervals, in order."""
    beats = sorted(session.beats, key=lambda b: (b.elapsed_ms, b.sequence, _event_id(session, b)))
    groups: list[list[Beat]] = [[beats[0]]]
    for before, beat in pairwise(beats):
        silence = beat.elapsed_ms - before.elapsed_ms
        slept = (beat.at_ms - before.at_ms) - silence
        if silence > SILENCE_MS or slept > SILENCE_MS:
            groups.append([])
        groups[-1].append(beat)
    found: list[Interval] = []
    for group in groups:
        anchor = min(beat.at_ms - beat.elapsed_ms for beat in group)
        interval = Interval(anchor + group[0].elapsed_ms, anchor + group[-1].elapsed_ms)
        for before, beat in pairwise(group):
            played_to = beat.position_ms if beat.from_position_ms is None else beat.from_position_ms
            advance = max(0, played_to - before.position_ms)
            passed = beat.elapsed_ms - before.elapsed_ms
            step = (anchor + before.elapsed_ms, anchor + beat.elapsed_ms, min(advance, passed))
            interval.steps.append(step)
        found.append(interval)
    return found


def viewed_at(session: Session, view_ms: int = VIEW_MS) -> int | None:
    """When the session became a view: at the beat that brought it over the threshold."""
    watched = 0
    for interval in intervals(session):
        for _, to_ms, step in interval.steps:
            watched += step
            if watched >= view_ms:
                return to_ms
    return None


def began_at(session: Session) -> int:
    return min(interval.from_ms for interval in intervals(session))


def views(sessions: Iterable[Session]) -> int:
    """Views of these sessions: one per viewer, content and clock hour."""
    booked = {
        (s.viewer_id or s.id, s.content_id, at // 3_600_000)
        for s in sessions
        if (at := viewed_at(s)) is not None
    }
    return len(booked)


def peak(sessions: Iterable[Session], from_ms: int, to_ms: int) -> int:
    """The most at once in [from_ms, to_ms), looked at at every start of an interval."""
    spans = [(max(i.from_ms, from_ms), min(i.to_ms, to_ms)) for s in sessions for i in intervals(s)]
    spans = [(begin, end) for begin, end in spans if begin < end]
    return max((sum(b <= at < e for b, e in spans) for at, _ in spans), default=0)


def present(sessions: Iterable[Session], from_ms: int, to_ms: int) -> int:
    """Presence of all in [from_ms, to_ms), in ms."""
    return sum(
        max(0, min(i.to_ms, to_ms) - max(i.from_ms, from_ms))
        for s in sessions
        for i in intervals(s)
    )


def watched(sessions: Iterable[Session], day: date | None = None) -> int:
    """Watched time of all, or what of it lies on a day, in ms."""
    total = 0
    for session in sessions:
        for interval in intervals(session):
            if day is None:
                total += sum(step for _, _, step in interval.steps)
            else:
                begin = midnight(day)
                total += interval.watched_before(begin + DAY_MS) - interval.watched_before(begin)
    return total


def is_on(session: Session, day: date) -> bool:
    """Whether the session has an interval on the day."""
    begin = midnight(day)
    return any(
        i.from_ms < begin + DAY_MS and (i.to_ms > begin or i.from_ms >= begin)
        for i in intervals(session)
    )


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def day_of(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def days_of(sessions: Iterable[Session]) -> list[date]:
    """Every day that any event lies near."""
    days = {day_of(beat.at_ms) for s in sessions for beat in s.beats}
    near = {day + timedelta(days=n) for day in days for n in (-1, 0, 1)}
    return sorted(near)


def rows_of_sessions(sessions: Iterable[Session]) -> list[Row]:
    """The sessions' events as rows of playback_events."""
    return [
        {
            "event_id": _event_id(session, beat),
            "channel_id": "ch_1",
            "stream_id": session.content_id if session.kind == "stream" else None,
            "vod_id": session.content_id if session.kind == "vod" else None,
            "viewer_id": session.viewer_id,
            "session_id": session.id,
            "occurred_at": datetime.fromtimestamp(beat.at_ms / 1000, UTC).replace(tzinfo=None),
            "type": "beat" if beat.from_position_ms is None else "seek",
            "sequence": beat.sequence,
            "elapsed_ms": beat.elapsed_ms,
            "position_ms": beat.position_ms,
            "from_position_ms": beat.from_position_ms,
            "rate": 1.0,
            "is_paused": beat.is_paused,
            "crawler": session.crawler,
        }
        for session in sessions
        for beat in session.beats
    ]


def grouped(sessions: Iterable[Session]) -> dict[str, list[Session]]:
    """Sessions by content."""
    found: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        found[session.content_id].append(session)
    return found


def _event_id(session: Session, beat: Beat) -> str:
    return f"{session.id}/{beat.sequence:06}"


# --- made-up players ------------------------------------------------------------------------------

gaps = st.one_of(
    st.integers(0, 20_000),
    st.integers(89_990, 90_010),
    st.integers(0, 15_000),
    st.integers(100_000, 4_000_000),
)
starts = st.one_of(  # half of them shortly before midnight
    st.integers(0, 5 * 3_600_000), st.integers(2 * 3_600_000 - 120_000, 2 * 3_600_000)
)
positions = st.one_of(st.integers(0, 200_000), st.integers(0, 10**9))
delays = st.one_of(st.integers(0, 300), st.just(0), st.integers(0, 120_000))
sleeps = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(80_000, 3_000_000))


@st.composite
def a_session(draw: st.DrawFn, number: int) -> Session:
    """Any player: honest ones, ones whose positions are forged, whose clock slept, whose events
    came late.
    """
    start = ORIGIN_MS + draw(starts)
    content = draw(st.sampled_from(["st_1", "vod_1", "vod_2"]))
    is_honest = draw(st.booleans())
    elapsed, slept, position = 0, 0, draw(st.integers(0, 50_000))
    beats: list[Beat] = []
    for sequence in range(draw(st.integers(1, 14))):
        if sequence:
            gap = draw(gaps)
            elapsed += gap
            slept += draw(sleeps)
            position = position + gap if is_honest else draw(positions)
        came_from = None
        if draw(st.integers(0, 5)) == 0:
            came_from = position
            position = draw(positions)
        beats.append(
            Beat(
                start + elapsed + slept + draw(delays),
                sequence,
                elapsed,
                position,
                came_from,
                draw(st.booleans()),
            )
        )
    return Session(
        id=f"session-{number}",
        content_id=content,
        viewer_id=draw(st.sampled_from([None, "vw_a", "vw_b", "vw_c", "usr_owner"])),
        beats=tuple(beats),
        crawler=draw(st.sampled_from([None, None, None, "Googlebot"])),
    )


@st.composite
def audiences(draw: st.DrawFn) -> list[Session]:
    """A few sessions around a midnight."""
    return [draw(a_session(number)) for number in range(draw(st.integers(1, 7)))]
