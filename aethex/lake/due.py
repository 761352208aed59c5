"""Which days each model must be computed for: what follows from what changed since the build.

What belongs here: from changed inputs to due days, model by model. What does not: what changed
(`changes`), computing (`runner`), in which order (`refresh`).

A model's days follow from how it reads its inputs (its selections). Each model is looked at after
those that it reads, so that what makes one due makes its readers due, and nothing else.

An hourly model is due by the clock: for each full hour that publishing has passed since the build.
What was received before such an hour is known for good, so no event that comes later makes it due
again. After a day without a refresh only the last 24 hours are; a changed model is due for the
newest hour, and the lists that it made before stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aethex.lake.build_records import Build, current_build
from aethex.lake.changes import DAY, Changes, StreamRow, day_range, last_day
from aethex.lake.core import Lake
from aethex.lake.dim_tables import DIM_CHANNEL_OWNERS, DIM_STREAM_SEGMENTS, DIM_STREAMS
from aethex.lake.event_tables import EVENT_TABLES, FOLLOW_EVENTS
from aethex.lake.models import Model, Models, Selection, load_models
from aethex.lake.windows import published_windows, watermark

HOUR = timedelta(hours=1)
CAUGHT_UP_HOURS = 24
"""Of the hours that passed since the build, at most so many are due, the newest ones."""

_EVENTS = {table.name: table for table in EVENT_TABLES.values()}


@dataclass(frozen=True)
class DueModel:
    """A model and the days of its partition that must be computed, in order; maybe none. An hourly
    model has full hours instead, in naive UTC.
    """

    name: str
    partition_column: str
    days: tuple[date, ...]
    hours: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Due:
    """What to compute, in the order in which models read each other.

    window, fresh_until: up to where publishing had come when this was asked: what the build may
    claim once these days are computed.
    """

    models: tuple[DueModel, ...]
    window: int
    fresh_until: datetime | None

    def of(self, model: Model) -> tuple[date, ...]:
        """The model's days; the hours of an hourly one."""
        return next((one.days or one.hours for one in self.models if one.name == model.name), ())

    @property
    def is_empty(self) -> bool:
        return not any(one.days or one.hours for one in self.models)

    @property
    def stream_days(self) -> tuple[date, ...]:
        """Days of all models keyed by stream_day."""
        return self._together("stream_day")

    @property
    def days(self) -> tuple[date, ...]:
        """Days of all models keyed by day."""
        return self._together("day")

    @property
    def days_of_hours(self) -> tuple[date, ...]:
        """Days that the hours of hourly models lie on."""
        return tuple(sorted({hour.date() for one in self.models for hour in one.hours}))

    def _together(self, column: str) -> tuple[date, ...]:
        keyed = (one.days for one in self.models if one.partition_column == column)
        return tuple(sorted(set[date]().union(*keyed)))


def due(lake: Lake, models: Models | None = None) -> Due:
    """What published windows, dims and changed models make due since the current build."""
    known = models or load_models()
    # asked first: what is published meanwhile is in the windows, and not claimed by this time
    fresh_until = watermark(lake.store)
    build = current_build(lake.store)
    windows = published_windows(lake, after=build.window if build else 0)
    window = windows[-1].n if windows else (build.window if build else 0)
    with lake.duckdb() as con:
        rules = _Rules(known, build, Changes(lake, con, build, windows))
        found = tuple(rules.due_model(model, fresh_until) for model in known)
    return Due(found, window, fresh_until)


def full_hours(day: date, known_until: datetime | None) -> list[datetime]:
    """The full hours of a UTC day up to which all is known that was received before."""
    midnight = datetime.combine(day, datetime.min.time())
    hours = (midnight + n * HOUR for n in range(24))
    return [hour for hour in hours if known_until is not None and hour <= known_until]


class _Rules:
    """The days of each model, found one after the other."""

    def __init__(self, models: Models, build: Build | None, changes: Changes) -> None:
        self._models = models
        self._build = build
        self._changes = changes
        self._found: dict[str, set[date]] = {}
        self._all: dict[str, set[date]] = {}
        self._renewed: set[str] = set()

    def due_model(self, model: Model, known_until: datetime | None) -> DueModel:
        """What is due of the model; of those that it reads this is known by now."""
        if model.hourly is None:
            days = tuple(sorted(self.look_at(model)))
            return DueModel(model.name, model.partition_column, days)
        is_renewed = self._is_changed(model) or bool(self._renewed & model.reads.keys())
        since = self._build.fresh_until if self._build else None
        hours = _hours_between(since, known_until, is_renewed)
        return DueModel(model.name, model.partition_column, (), hours)

    def look_at(self, model: Model) -> set[date]:
        """The model's due days; those of the models that it reads are known by now."""
        if self._is_changed(model) or self._renewed & model.reads.keys():
            self._renewed.add(model.name)
            found = self._all_days(model)
        else:
            found: set[date] = set()
        for name, selection in model.reads.items():
            found |= self._days_of_input(model, name, selection)
        self._found[model.name] = found
        return found

    def _is_changed(self, model: Model) -> bool:
        """Whether the build was made by another version of the model, or without it."""
        return self._build is None or self._build.fingerprint_of(model.name) != model.fingerprint

    def _days_of_input(self, model: Model, name: str, selection: Selection) -> set[date]:
        """What the input's changes make due of the model."""
        match selection:
            case "whole":
                return self._days_of_dim(model, name)
            case "same_partition":
                return set(self._found[name])
            case "same_day":
                return self._changes.touched_days(name)
            case "days_around":
                return _around(self._changes.touched_days(name))
            case "stream_days" if name == FOLLOW_EVENTS.name:
                # a follow counts for whichever stream its channel has then
                return self._changes.stream_days_live_on(self._changes.touched_days(name))
            case "stream_days" if name in _EVENTS:
                return {stream.stream_day for stream, _ in self._changes.touched_streams(name)}
            case "stream_days":
                return self._changes.stream_days_live_on(self._found[name])
            case "live_streams":
                return self._days_of_streams(name)
            case "as_of_hour":
                return set()  # what comes later changes no hour

    def _days_of_dim(self, model: Model, name: str) -> set[date]:
        if name == DIM_CHANNEL_OWNERS.name:
            return self._changes.days_of_changed_owners
        if model.partition_column != "stream_day":
            return set()
        if name == DIM_STREAM_SEGMENTS.name:
            return self._changes.stream_days_of_changed_segments
        if name == DIM_STREAMS.name:
            versions = (one for pair in self._changes.changed_streams for one in pair)
            return {stream.stream_day for stream in versions if stream is not None}
        return set()  # names and titles are shown as they are, and change no number

    def _days_of_streams(self, name: str) -> set[date]:
        """Days of what reads a stream-keyed table of the streams live on each day."""
        found = _days_of_changed(self._changes.changed_streams)
        for table in self._events_below(name):
            found |= _days_of_touched(self._changes.touched_streams(table))
        return found

    def _events_below(self, name: str) -> set[str]:
        """Event tables that a model is made of, through all that it reads."""
        found: set[str] = set()
        for read in self._models[name].reads:
            if read in _EVENTS:
                found.add(read)
            elif read in self._models:
                found |= self._events_below(read)
        return found

    def _all_days(self, model: Model) -> set[date]:
        """Every day that the model could have rows of."""
        if model.name not in self._all:
            self._all[model.name] = set[date]().union(
                *(self._all_days_by(model, name, s) for name, s in model.reads.items())
            )
        return self._all[model.name]

    def _all_days_by(self, model: Model, name: str, selection: Selection) -> set[date]:
        match selection:
            case "whole" if model.partition_column == "stream_day":
                return {stream.stream_day for stream in self._changes.streams}
            case "whole":
                return set()
            case "same_partition":
                return self._all_days(self._models[name])
            case "same_day":
                return self._changes.all_event_days(_EVENTS[name])
            case "days_around":
                return _around(self._changes.all_event_days(_EVENTS[name]))
            case "stream_days":
                return {stream.stream_day for stream in self._changes.streams}
            case "live_streams":
                return {day for stream in self._changes.streams for day in stream.days()}
            case "as_of_hour":
                return set()


def _hours_between(
    since: datetime | None, until: datetime | None, is_renewed: bool
) -> tuple[datetime, ...]:
    """The full hours in (since, until], the newest CAUGHT_UP_HOURS of them; without `since`, or
    when it is renewed, the newest full hour in any case.
    """
    if until is None:
        return ()
    newest = until.replace(minute=0, second=0, microsecond=0)
    hours = [newest - n * HOUR for n in reversed(range(CAUGHT_UP_HOURS))]
    is_missing = [since is not None and since < hour for hour in hours]
    is_missing[-1] |= is_renewed or since is None
    return tuple(hour for hour, missing in zip(hours, is_missing, strict=True) if missing)


def _around(days: Iterable[date]) -> set[date]:
    return {near for day in days for near in (day - DAY, day, day + DAY)}


def _days_of_touched(touched: Iterable[tuple[StreamRow, date]]) -> set[date]:
    """Streams that got samples on a day: that day, and the days that its holds or its end reach."""
    found: set[date] = set()
    for stream, day in touched:
        covered = set(stream.reaching(_end_of_day(day)).days())
        # a hold that crosses midnight ends where the next day's first sample is, and the other way
        # round
        found |= covered & {day - DAY, day, day + DAY}
        if stream.ended_at is None:
            # its end moves with its newest sample, and so do the live seconds up to there
            reached = last_day(stream.known_end_at) if stream.known_end_at else stream.stream_day
            found |= set(day_range(reached, day))
    return found


def _days_of_changed(changed: Iterable[tuple[StreamRow | None, StreamRow | None]]) -> set[date]:
    """Days of streams whose row is new, gone or different: (before, after)."""
    found: set[date] = set()
    for before, after in changed:
        versions = [stream for stream in (before, after) if stream is not None]
        if before and after and _bounds(before) == _bounds(after):
            continue  # a title or a category
        covered = [set(stream.days()) for stream in versions]
        if before and after and _start(before) == _start(after):
            # only the end moved: the days on both sides of it
            first = min(max(days) for days in covered)
            found |= {day for days in covered for day in days if day >= first}
        else:
            found |= set().union(*covered)
    return found


def _start(stream: StreamRow) -> tuple[str, datetime]:
    return stream.channel_id, stream.started_at


def _bounds(stream: StreamRow) -> tuple[str, datetime, datetime | None]:
    return stream.channel_id, stream.started_at, stream.ended_at


def _end_of_day(day: date) -> datetime:
    return datetime.combine(day + DAY, datetime.min.time())
