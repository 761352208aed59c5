"""Believable audiences: viewers and chat messages a minute, from a stream's description and a seed.

What belongs here: the curve's shape. What does not: the streams (`content`), storing.
"""

from __future__ import annotations

import csv
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aethex.demo.content import DemoStream

_ARRIVAL_MINUTES = 17.0
_RAID_STAYS_MINUTES = 32.0
_LEAVING_MINUTES = 9
_FAILED_POLLS = 0.008  # share of single polls that fail


def viewers_a_minute(stream: DemoStream, rng: np.random.Generator) -> NDArray[np.float64]:
    """Viewers at each minute; NaN where the poll failed.

    People arrive over the first minutes, come and go with what is shown, stay a while after a raid,
    and leave as the end is announced.
    """
    minute = np.arange(stream.minutes, dtype=np.float64)
    pull = np.repeat([part.pull for part in stream.parts], [part.minutes for part in stream.parts])
    drawn = _followed(pull, lag=7.0)
    arrived = 1 - 0.93 * np.exp(-minute / _ARRIVAL_MINUTES)
    waves = 1 + 0.05 * np.sin(minute / 19 + rng.uniform(0, 6)) + _wander(rng, minute.size)
    viewers = stream.viewers * drawn * arrived * waves
    for at, size in stream.raids:
        since = minute - at
        came = np.clip(since / 2, 0, 1) * np.exp(-np.maximum(since, 0) / _RAID_STAYS_MINUTES)
        viewers += size * came
    leaving = np.clip((stream.minutes - minute) / _LEAVING_MINUTES, 0.45, 1)
    viewers = np.rint(rng.poisson(np.maximum(viewers * leaving, 1)).astype(np.float64))
    viewers[rng.random(minute.size) < _FAILED_POLLS] = np.nan
    for at, length in stream.outages:
        viewers[at : at + length] = np.nan
    return viewers


def messages_a_minute(
    stream: DemoStream, viewers: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Chat messages in the minute from each sample on; livelier when the part changes or a raid
    comes.
    """
    present = np.interp(
        np.arange(viewers.size), np.flatnonzero(~np.isnan(viewers)), viewers[~np.isnan(viewers)]
    )
    lively = np.exp(rng.normal(0, 0.28, viewers.size))
    starts = np.cumsum([part.minutes for part in stream.parts])[:-1]
    for at in (*starts, *(minute for minute, _ in stream.raids)):
        since = np.arange(viewers.size) - at
        lively *= 1 + 1.6 * np.exp(-np.maximum(since, 0) / 4) * (since >= 0)
    return rng.poisson(present * stream.chattiness * lively)


def write_viewers(stream: DemoStream, started_at: datetime, path: Path) -> None:
    """The stream's samples as CSV: `time` (ISO, UTC), `viewers` (empty = the poll failed),
    `messages`.
    """
    rng = np.random.default_rng(zlib.crc32(stream.title.encode()))
    viewers = viewers_a_minute(stream, rng)
    messages = messages_a_minute(stream, viewers, rng)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "viewers", "messages"])
        for minute in range(stream.minutes):
            at = started_at + timedelta(minutes=minute)
            count = "" if np.isnan(viewers[minute]) else int(viewers[minute])
            writer.writerow([at.isoformat(), count, int(messages[minute])])


def write_segments(stream: DemoStream, started_at: datetime, path: Path) -> None:
    """The parts as CSV: `name`, `category`, `start_time` (ISO, UTC), `duration` (h:mm:ss)."""
    at = started_at
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "category", "start_time", "duration"])
        for part in stream.parts:
            hours, minutes = divmod(part.minutes, 60)
            writer.writerow(
                [part.title, part.category, at.isoformat(), f"{hours}:{minutes:02d}:00"]
            )
            at += timedelta(minutes=part.minutes)


def _followed(target: NDArray[np.float64], lag: float) -> NDArray[np.float64]:
    """The target as an audience follows it: a minute covers 1/lag of what is missing."""
    followed = np.empty_like(target)
    value = target[0]
    for index, goal in enumerate(target):
        value += (goal - value) / lag
        followed[index] = value
    return followed


def _wander(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Slow random drift of a few per cent."""
    drift, value = np.empty(count), 0.0
    for index, step in enumerate(rng.normal(0, 0.012, count)):
        value = 0.94 * value + step
        drift[index] = value
    return drift
