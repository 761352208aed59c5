"""The typed answers of `analytics`: what the API, the dashboards and the notebooks hand on.

What belongs here: frozen dataclasses with units. What does not: how they are computed
(`analytics`).

In every answer: times are aware UTC datetimes, ranges are half-open `[from_at, to_at)`, and `None`
means "not measured", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

SAMPLE_HOLD = timedelta(seconds=150)
"""A sample holds until the next one, but for this long at most (docs/metrics.md). The models' SQL
says the same; tests hold both to one reference."""


class NotInBuild(LookupError):
    """A channel or stream that the build does not hold (unknown, or newer than the build)."""

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        super().__init__(
            f"No {kind} {key!r} in this build: it is unknown, or newer than the last refresh."
        )


@dataclass(frozen=True, slots=True)
class Audience:
    """How many watched in one span of time, measured from viewer snapshots.

    live_seconds: seconds of the span in which the stream was live.
    covered_seconds: seconds of those in which a sample held (at most 150 s after each sample).
    viewer_seconds: integral of concurrent viewers over the covered seconds.
    average_viewers: viewer_seconds / covered_seconds.
    coverage_ratio: covered_seconds / live_seconds, 0–1.
    peak_viewers, peak_at: the largest sample and its instant; the earliest wins a tie.
    messages: chat messages counted by the samples of the span.
    samples, null_samples: sample instants, and those of them whose viewer count failed.
    """

    live_seconds: float | None
    covered_seconds: float | None
    viewer_seconds: float | None
    average_viewers: float | None
    coverage_ratio: float | None
    peak_viewers: int | None
    peak_at: datetime | None
    messages: int | None
    samples: int
    null_samples: int


@dataclass(frozen=True, slots=True)
class ChannelListItem:
    """One channel and what the build knows of it. last_stream_at: start of its newest stream."""

    channel_id: str
    username: str
    title: str | None
    streams: int
    last_stream_at: datetime | None
    live_seconds: float | None
    peak_viewers: int | None


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream with its whole audience.

    ended_at: while `is_final` is false (no end known yet), about a minute after the newest sample.
    viewer_source: `snapshot`, or None where the stream has no samples.
    """

    stream_id: str
    channel_id: str
    title: str
    category_id: str | None
    category_name: str | None
    status: str
    started_at: datetime
    ended_at: datetime | None
    is_final: bool
    viewer_source: str | None
    audience: Audience


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """One segment (title and category) of a stream with the audience inside `[started_at,
    ended_at)`.
    """

    segment_id: str
    stream_id: str
    position: int
    title: str
    category_id: str | None
    category_name: str | None
    started_at: datetime
    ended_at: datetime | None
    audience: Audience


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """A sample, or a bucket's peak; messages are the sample's, or the whole bucket's."""

    at: datetime
    viewers: int | None
    messages: int | None


@dataclass(frozen=True, slots=True)
class ViewersChart:
    """Viewers over a range of one stream.

    points: in time order; the samples themselves where `bucket_seconds` is None, else one point per
        bucket of that length that has samples: its peak, at the peak's instant, and the sum of its
        messages.
    summary: always from every sample of the range, however many points there are.
    """

    stream_id: str
    from_at: datetime
    to_at: datetime
    bucket_seconds: float | None
    points: list[ChartPoint]
    summary: Audience


@dataclass(frozen=True, slots=True)
class ChannelDay:
    """One UTC day of a channel. streams: streams live on it; streams_started: those that began on
    it.
    """

    day: date
    streams: int
    streams_started: int
    audience: Audience


@dataclass(frozen=True, slots=True)
class ChannelSummary:
    """A channel over a range.

    audience.live_seconds: time in which at least one stream was live; streams that overlap count
    once. audience.coverage_ratio: covered seconds / `stream_seconds`, the live time summed over the
    streams. audience.peak_viewers: the largest sample of any one stream, in `peak_stream_id`.
    """

    channel_id: str
    username: str
    title: str | None
    from_at: datetime | None
    to_at: datetime | None
    streams: int
    stream_seconds: float | None
    peak_stream_id: str | None
    audience: Audience
