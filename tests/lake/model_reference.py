"""What the numbers must be, in whole microseconds, written from docs/metrics.md alone; and made-up
streams.

Slow and independent of the models: no SQL, no floats before the last division.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st

from tests.model_runs import Row

ORIGIN = datetime.fromisoformat("2024-02-28T22:00")
SECOND = 1_000_000
HOLD = 150 * SECOND
MINUTE = 60 * SECOND


@dataclass(frozen=True)
class Sample:
    at: int  # microseconds after ORIGIN
    viewers: int | None
    messages: int | None
    source: str = "a"


@dataclass(frozen=True)
class Stream:
    id: str
    channel: str
    start: int
    end: int | None
    samples: tuple[Sample, ...]
    segments: tuple[tuple[int, int], ...]


# --- the reference: one microsecond interval at a time
# ---------------------------------------------


def at(us: int) -> datetime:
    return ORIGIN + timedelta(microseconds=us)


def instants(stream: Stream) -> list[Sample]:
    """One sample an instant; the first source by name that has a number wins, for each measure."""
    found: dict[int, list[Sample]] = {}
    for sample in stream.samples:
        if sample.at >= stream.start and (stream.end is None or sample.at < stream.end):
            found.setdefault(sample.at, []).append(sample)
    merged: list[Sample] = []
    for instant, samples in sorted(found.items()):
        by_name = sorted(samples, key=lambda s: s.source)
        viewers = next((s.viewers for s in by_name if s.viewers is not None), None)
        messages = next((s.messages for s in by_name if s.messages is not None), None)
        merged.append(Sample(instant, viewers, messages))
    return merged


def end_of(stream: Stream, samples: list[Sample]) -> int | None:
    if stream.end is not None or not samples:
        return stream.end
    last = samples[-1].at
    midnight = datetime.combine(at(last).date() + timedelta(days=1), datetime.min.time())
    return min(last + 60 * SECOND, (midnight - ORIGIN) // timedelta(microseconds=1))


def holds(stream: Stream) -> list[tuple[int, int, int]]:
    """(from, to, viewers) of every count that holds."""
    samples = instants(stream)
    end = end_of(stream, samples)
    counts = [s for s in samples if s.viewers is not None]
    found: list[tuple[int, int, int]] = []
    for n, sample in enumerate(counts):
        following = [counts[n + 1].at] if n + 1 < len(counts) else []
        assert sample.viewers is not None
        assert end is not None
        found.append((sample.at, min([*following, sample.at + HOLD, end]), sample.viewers))
    return found


@dataclass
class Expected:
    """What one span of one or several streams must say."""

    live: int | None
    covered: int
    viewer: int
    peak: int | None
    peak_at: int | None
    messages: int | None
    samples: int
    null_samples: int


def measure(streams: list[Stream], begin: int | None, end: int | None) -> Expected:
    """The audience of those streams in [begin, end); live counts each stream's time."""
    live: int | None = None
    covered = viewer = samples = null_samples = 0
    peaks: list[tuple[int, int, str]] = []
    messages: list[int] = []
    for stream in streams:
        own = instants(stream)
        own_end = end_of(stream, own)
        if own_end is None:
            continue
        low = stream.start if begin is None else max(begin, stream.start)
        high = own_end if end is None else min(end, own_end)
        live = (live or 0) + max(high - low, 0)
        for start, stop, count in holds(stream):
            held = max(min(stop, high) - max(start, low), 0)
            covered += held
            viewer += held * count
        for sample in own:
            if low <= sample.at < high:
                samples += 1
                null_samples += sample.viewers is None
                messages += [sample.messages] if sample.messages is not None else []
                if sample.viewers is not None:
                    peaks.append((-sample.viewers, sample.at, stream.id))
    best = min(peaks, default=None)
    return Expected(
        live,
        covered,
        viewer,
        -best[0] if best else None,
        best[1] if best else None,
        sum(messages) if messages else None,
        samples,
        null_samples,
    )


def nearest(us: int) -> float:
    return float(Fraction(us, SECOND))


# --- made-up streams ------------------------------------------------------------------------------

# whole seconds, single microseconds beside minutes and midnights, and anything in between
_steps = st.one_of(
    st.integers(0, 6 * 3600).map(lambda s: s * SECOND),
    st.integers(0, 360).flatmap(lambda m: st.integers(-1, 1).map(lambda d: m * MINUTE + d)),
    st.integers(0, 6 * 3600 * SECOND),
)
_counts = st.one_of(st.none(), st.integers(0, 5), st.integers(0, 300_000))


@st.composite
def streams(draw: st.DrawFn, name: str) -> Stream:
    start = draw(_steps)
    length = draw(st.one_of(st.none(), _steps))
    samples = draw(
        st.lists(
            st.builds(Sample, _steps, _counts, _counts, st.sampled_from("ab")),
            max_size=12,
            unique_by=lambda s: (s.at, s.source),
        )
    )
    pairs = draw(st.lists(st.tuples(_steps, _steps), max_size=3))
    segments = tuple((min(pair), max(pair)) for pair in pairs)
    end = None if length is None else start + length
    return Stream(
        name, draw(st.sampled_from(["ch_1", "ch_2"])), start, end, tuple(samples), segments
    )


@st.composite
def worlds(draw: st.DrawFn) -> list[Stream]:
    number = draw(st.integers(1, 3))
    return [draw(streams(f"st_{n}")) for n in range(number)]


def inputs_of(made: list[Stream]) -> dict[str, list[Row]]:
    dims: list[Row] = []
    segments: list[Row] = []
    events: list[Row] = []
    for stream in made:
        common = {"stream_id": stream.id, "channel_id": stream.channel}
        bounds = {"started_at": at(stream.start), "stream_day": at(stream.start).date()}
        ended_at = None if stream.end is None else at(stream.end)
        dims.append({**common, **bounds, "title": "", "status": "ended", "ended_at": ended_at})
        segments += [
            {**common, "segment_id": f"{stream.id}/{n}", "position": n, "title": "",
             "started_at": at(low), "ended_at": at(high), "stream_day": bounds["stream_day"]}
            for n, (low, high) in enumerate(stream.segments)
        ]  # fmt: skip
        events += [
            {**common, "occurred_at": at(s.at), "viewers": s.viewers, "messages": s.messages,
             "source": s.source}
            for s in stream.samples
        ]  # fmt: skip
    return {"dim_streams": dims, "dim_stream_segments": segments, "viewer_snapshots": events}


def days_of(made: list[Stream]) -> list[date]:
    """Every UTC day from the first start to the last end or sample."""
    ends = [end for s in made for end in (s.end, *(x.at for x in s.samples)) if end is not None]
    first = at(min(s.start for s in made)).date()
    last = at(max([*ends, *(s.start for s in made)])).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def micros(day: date) -> int:
    return (datetime.combine(day, datetime.min.time()) - ORIGIN) // timedelta(microseconds=1)


def is_on(stream: Stream, day: date, begin: int, end: int) -> bool:
    """Whether the stream started on the day, or was live in it."""
    own_end = end_of(stream, instants(stream))
    started = at(stream.start).date() == day
    return started or (own_end is not None and stream.start < end and own_end > begin)


def union(made: list[Stream], begin: int, end: int) -> int:
    """Microseconds of the span in which at least one of the streams was live."""
    borders: list[tuple[int, int]] = []
    for stream in made:
        own_end = end_of(stream, instants(stream))
        if own_end is not None and min(own_end, end) > max(stream.start, begin):
            borders.append((max(stream.start, begin), min(own_end, end)))
    total, reached = 0, begin
    for low, high in sorted(borders):
        total += max(high - max(low, reached), 0)
        reached = max(reached, high)
    return total
