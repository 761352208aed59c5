"""Publish windows: which landing objects are published together, and which windows are done.

What belongs here: cutting windows, reading them and their markers. What does not: the rows
(`publish`).

A window is an immutable list of landing objects, `lake/windows/<n>.json`, created if absent: of two
publishers that cut window n at once, the loser takes the winner's. Its marker `<n>.published.json`
is written after every table has its rows. Numbers start at 1, have no gaps, and markers follow in
the same order. `head.json` only remembers how far both had come, so that nobody lists years of
windows, and when landing was last found to hold nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from aethex.lake.core import Lake, utc_now
from aethex.lake.landing import PREFIX as LANDING_PREFIX
from aethex.lake.landing import count_rows
from aethex.store import AlreadyExists, NotFound, ObjectInfo

if TYPE_CHECKING:
    from aethex.store import Store

PREFIX = "lake/windows/"
HEAD_KEY = f"{PREFIX}head.json"
CHEAP_WINDOWS = 300
CHEAP_OBJECTS = 20_000
"""Up to so many windows and objects, every look goes through all of landing: a second on R2."""

LOOK_BACK = timedelta(days=1)
"""Beyond that, a look goes through the objects whose keys are at most this much older than the
last window's watermark."""

FULL_LOOK_EVERY = timedelta(days=1)
"""Beyond that, how often all of landing is looked through, for objects with still older keys."""

_MARKER_SUFFIX = ".published.json"
_NEVER = datetime.fromisoformat("1970-01-01")
_READERS = 16


@dataclass(frozen=True)
class LandedObject:
    """One landing object of a window: key, bytes, rows."""

    key: str
    size_bytes: int
    rows: int


@dataclass(frozen=True)
class Window:
    """A numbered, immutable list of landing objects. Times are naive UTC.

    `watermark`: what landed before it is in this window or an earlier one, but for late objects.
    `fully_looked_at`: when all of landing was last looked through for objects that no window has.
    `objects_so_far`: objects in all windows up to this one.
    """

    n: int
    objects: tuple[LandedObject, ...]
    created_at: datetime
    watermark: datetime
    fully_looked_at: datetime
    objects_so_far: int

    @property
    def rows(self) -> int:
        """Rows in its objects, duplicates counted."""
        return sum(item.rows for item in self.objects)


@dataclass(frozen=True)
class PublishedObject:
    """What became of one landing object: rows in it, and rows of it that are in the tables."""

    key: str
    rows_in: int
    rows_out: int


@dataclass(frozen=True)
class PublishedWindow:
    """The marker of a published window.

    `rows_in`: rows in its objects; `rows_out`: rows that it brought into the tables (`tables` by
    table, `objects` by landing object); `duplicates` = rows_in - rows_out, events that were there
    already. `days`: the UTC days, by table, that it touched.
    """

    n: int
    published_at: datetime
    watermark: datetime
    rows_in: int
    rows_out: int
    duplicates: int
    tables: dict[str, int]
    days: dict[str, tuple[date, ...]]
    objects: tuple[PublishedObject, ...] = ()


def next_window(lake: Lake, now: datetime | None = None) -> Window | None:
    """The window to publish next: the first that is cut and not published, else a new one.

    None when nothing has landed that no window has. A new window takes objects in the order of
    their keys until `settings.window_max_rows` is reached.
    """
    published = last_published(lake.store)
    while (window := read_window(lake.store, published + 1)) is None:
        previous = read_window(lake.store, published) if published else None
        fresh = _cut(lake, previous, published + 1, now or utc_now())
        if fresh is None:
            return None
        # the loser of a race reads the winner's in the next turn
        with suppress(AlreadyExists):
            lake.store.create(_key(fresh.n), _to_json(fresh), content_type="application/json")
            return fresh
    return window


def last_published(store: Store) -> int:
    """The number of the last published window; 0: none."""
    n = _head(store)
    while store.exists(_marker_key(n + 1)):
        n += 1
    return n


def published_windows(lake: Lake, after: int = 0) -> list[PublishedWindow]:
    """The markers of all published windows with a number above `after`, in order."""
    last = last_published(lake.store)
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(partial(read_published, lake.store), range(after + 1, last + 1))
        return [marker for marker in found if marker is not None]


def watermark(store: Store) -> datetime | None:
    """What was received before this (naive UTC) is in the event tables, but for late objects.

    None before the first window and the first look at an empty landing. It moves on with each
    publish, also where nothing new had landed.
    """
    last = last_published(store)
    marker = read_published(store, last) if last else None
    head = _read_head(store)
    # a look that ended before the last window says nothing about what landed before that one
    looked_at = head.looked_at if head is not None and head.published >= last else None
    return max(filter(None, (marker and marker.watermark, looked_at)), default=None)


def first_waiting(store: Store, since: datetime | None) -> ObjectInfo | None:
    """The first landed object, by its key, that no published window has; None when there is none.

    `since`: the watermark. Like a publish, it looks a day further back, for writers whose clocks
    are behind; None looks at all of landing.
    """
    published = last_published(store)
    previous = read_window(store, published) if published else None
    look_from = since - LOOK_BACK if since is not None else None
    return next(_due_objects(store, previous, look_from), None)


def mark_looked_at(store: Store, at: datetime) -> None:
    """Remember that all that had landed by then (naive UTC) is published."""
    head = _read_head(store)
    known = head.looked_at if head else None
    _write_head(store, _Head(last_published(store), max(at, known or at)))


def read_window(store: Store, n: int) -> Window | None:
    """Window n, or None when it is not cut yet."""
    try:
        raw: dict[str, Any] = json.loads(store.get(_key(n)))
    except NotFound:
        return None
    return Window(
        n=raw["n"],
        objects=tuple(LandedObject(**item) for item in raw["objects"]),
        created_at=_parse_time(raw["created_at"]),
        watermark=_parse_time(raw["watermark"]),
        fully_looked_at=_parse_time(raw["fully_looked_at"]),
        objects_so_far=raw["objects_so_far"],
    )


def read_published(store: Store, n: int) -> PublishedWindow | None:
    """The marker of window n, or None when it is not published."""
    try:
        raw: dict[str, Any] = json.loads(store.get(_marker_key(n)))
    except NotFound:
        return None
    days = {
        table: tuple(date.fromisoformat(day) for day in days) for table, days in raw["days"].items()
    }
    times = {name: _parse_time(raw[name]) for name in ("published_at", "watermark")}
    # markers from before objects were counted one by one have none
    objects = tuple(PublishedObject(**item) for item in raw.get("objects", ()))
    fields: dict[str, Any] = {**raw, **times, "days": days, "objects": objects}
    return PublishedWindow(**fields)


def mark_published(store: Store, marker: PublishedWindow) -> PublishedWindow:
    """Write a window's marker; all tables have its rows by now. Of two publishers the first one's
    stays."""
    with suppress(AlreadyExists):
        store.create(_marker_key(marker.n), _to_json(marker), content_type="application/json")
    _remember(store, marker.n)
    kept = read_published(store, marker.n)
    assert kept is not None
    return kept


# --- cutting --------------------------------------------------------------------------------------


def _cut(lake: Lake, previous: Window | None, n: int, now: datetime) -> Window | None:
    """A window of objects that no window up to `previous` has; None when there are none."""
    is_full_look = previous is None or _is_full_look_due(previous, now)
    since = None if previous is None or is_full_look else previous.watermark - LOOK_BACK
    due = _due_objects(lake.store, previous, since)
    objects, is_all = _take(lake.store, due, lake.settings.window_max_rows)
    if not objects:
        return None
    return Window(
        n=n,
        objects=tuple(objects),
        created_at=now,
        watermark=_watermark(previous, objects, now, is_all=is_all),
        # a window that is full leaves objects behind that only the same look would find again
        fully_looked_at=now if is_full_look and is_all else _looked_at(previous),
        objects_so_far=len(objects) + (previous.objects_so_far if previous else 0),
    )


def _is_full_look_due(previous: Window, now: datetime) -> bool:
    is_cheap = previous.n <= CHEAP_WINDOWS and previous.objects_so_far <= CHEAP_OBJECTS
    return is_cheap or now - previous.fully_looked_at >= FULL_LOOK_EVERY


def _due_objects(
    store: Store, previous: Window | None, since: datetime | None
) -> Iterator[ObjectInfo]:
    """Landed objects with keys from `since` on (None: all) that no window has, in order of their
    keys."""
    start_after = None if since is None else f"{LANDING_PREFIX}{since:%Y/%m/%d/%H}"
    taken: set[str] | None = None
    for info in store.list(LANDING_PREFIX, start_after=start_after):
        if not info.key.endswith(".parquet"):
            continue
        if taken is None:
            taken = _taken_keys(store, previous, since)
        if info.key not in taken:
            yield info


def _taken_keys(store: Store, previous: Window | None, since: datetime | None) -> set[str]:
    """Keys of objects in the windows that can hold keys from `since` on.

    A window cut before `since` holds none of those unless a writer's clock ran ahead by more than
    the look-back; such an object may be in two windows, which costs time and no truth: publishing
    drops events that are there already.
    """
    taken: set[str] = set()
    numbers = iter(range(previous.n if previous else 0, 0, -1))
    with ThreadPoolExecutor(_READERS) as pool:
        while batch := list(islice(numbers, _READERS)):
            for window in pool.map(partial(read_window, store), batch):
                if window is None:
                    continue
                if since is not None and window.created_at < since - LOOK_BACK:
                    return taken
                taken.update(item.key for item in window.objects)
    return taken


def _take(
    store: Store, due: Iterator[ObjectInfo], max_rows: int
) -> tuple[list[LandedObject], bool]:
    """Objects in order until `max_rows` would be passed, but at least one; and whether these are
    all."""
    taken: list[LandedObject] = []
    rows = 0
    with ThreadPoolExecutor(_READERS) as pool:
        while batch := list(islice(due, _READERS * 4)):
            counts = pool.map(partial(_count_rows, store), batch)
            for info, count in zip(batch, counts, strict=True):
                if taken and rows + count > max_rows:
                    return taken, False
                taken.append(LandedObject(info.key, info.size_bytes, count))
                rows += count
    return taken, True


def _count_rows(store: Store, info: ObjectInfo) -> int:
    return count_rows(store, info.key, info.size_bytes)


def _watermark(
    previous: Window | None, objects: list[LandedObject], now: datetime, *, is_all: bool
) -> datetime:
    """How far landing has been taken: to now, or to the hour of the last object of a full
    window."""
    if is_all:
        return now
    parts = objects[-1].key.split("/")
    try:
        reached = datetime.fromisoformat(f"{'-'.join(parts[1:4])}T{parts[4]}")
    except (ValueError, IndexError):
        reached = now
    reached = min(reached, now)
    return max(previous.watermark, reached) if previous else reached


def _looked_at(previous: Window | None) -> datetime:
    return previous.fully_looked_at if previous else _NEVER


# --- keys and JSON --------------------------------------------------------------------------------


def _key(n: int) -> str:
    return f"{PREFIX}{n:010d}.json"


def _marker_key(n: int) -> str:
    return f"{PREFIX}{n:010d}{_MARKER_SUFFIX}"


@dataclass(frozen=True)
class _Head:
    """A number that the last published window has at least, and until when nothing more had
    landed.
    """

    published: int
    looked_at: datetime | None


def _head(store: Store) -> int:
    """A number that the last published window has at least."""
    head = _read_head(store)
    if head is not None:
        return head.published
    keys = [info.key for info in store.list(PREFIX) if info.key.endswith(_MARKER_SUFFIX)]
    return int(keys[-1].removeprefix(PREFIX).removesuffix(_MARKER_SUFFIX)) if keys else 0


def _read_head(store: Store) -> _Head | None:
    try:
        raw: dict[str, Any] = json.loads(store.get(HEAD_KEY))
    except NotFound:
        return None
    looked_at = raw.get("looked_at")
    return _Head(int(raw["published"]), _parse_time(looked_at) if looked_at else None)


def _write_head(store: Store, head: _Head) -> None:
    store.put(HEAD_KEY, _to_json(head), content_type="application/json")


def _remember(store: Store, n: int) -> None:
    head = _read_head(store)
    if n > _head(store):
        _write_head(store, _Head(n, head.looked_at if head else None))


def _to_json(value: Window | PublishedWindow | _Head) -> bytes:
    def encode(item: object) -> str:
        if isinstance(item, datetime):
            return f"{item.isoformat()}Z"
        if isinstance(item, date):
            return item.isoformat()
        raise TypeError(f"no JSON for {type(item).__name__}")

    return json.dumps(asdict(value), default=encode, indent=1).encode()


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)
