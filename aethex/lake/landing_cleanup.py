"""Landing's clean-up: objects go once their rows are proven to be in the tables; quarantine by age.

What belongs here: deleting landed and refused objects that were kept long enough. What does not:
counting (`reconciliation`), files of tables (`expiry`).

Windows go in order. For each the proof comes first, then `proven` moves to it, then its objects are
deleted, then `deleted` moves. Killed anywhere, the next one finds in (deleted, proven] what must be
deleted again without a proof, which would no longer be possible. A window that does not add up
stops everything: nothing of it or after it is deleted until somebody has looked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aethex.lake.core import Lake
from aethex.lake.quarantine import PREFIX as QUARANTINE_PREFIX
from aethex.lake.reconciliation import WindowCount, count_window
from aethex.lake.windows import (
    PREFIX,
    PublishedWindow,
    Window,
    last_published,
    read_published,
    read_window,
)
from aethex.store import NotFound

if TYPE_CHECKING:
    from aethex.store import ObjectInfo, Store

CLEANUP_KEY = f"{PREFIX}cleanup.json"
_DELETED_AT_ONCE = 1_000


@dataclass(frozen=True)
class Cleaned:
    """What was deleted. windows: numbers of the windows whose objects went."""

    windows: tuple[int, ...] = ()
    objects: int = 0


class LandingNotProven(Exception):
    """A window's landed rows are not proven to be in the tables, so its objects stay. The message
    names it. done: what was deleted before.
    """

    done = Cleaned()


@dataclass(frozen=True)
class Cleanup:
    """How far the clean-up has come: the last window proven, and the last one deleted."""

    proven: int = 0
    deleted: int = 0


Progress = Callable[[int, int], None]
"""Called with the window at hand and the last one that is published."""


def clean_landing(
    lake: Lake,
    before: datetime,
    *,
    is_over: Callable[[], bool] = lambda: False,
    progress: Progress = lambda _n, _of: None,
) -> Cleaned:
    """Delete the landing objects of windows that were published before that time (naive UTC), each
    once it is proven.

    Raises LandingNotProven for a window that does not add up; those before it are done then.
    Raises Conflict when another clean-up runs.
    """
    state, info = read_cleanup(lake.store)
    done = Cleaned()
    last = last_published(lake.store)
    while not is_over():
        n = state.deleted + 1
        marker = read_published(lake.store, n) if n <= last else None
        window = read_window(lake.store, n)
        if marker is None or window is None or marker.published_at >= before:
            break
        progress(n, last)
        if n > state.proven:
            try:
                _prove(lake, window, marker)
            except LandingNotProven as error:
                error.done = done
                raise
            state, info = _write(lake.store, Cleanup(proven=n, deleted=state.deleted), info)
        lake.store.delete([item.key for item in window.objects])
        state, info = _write(lake.store, Cleanup(proven=n, deleted=n), info)
        done = Cleaned((*done.windows, n), done.objects + len(window.objects))
    return done


def clean_quarantine(
    store: Store, before: datetime, *, is_over: Callable[[], bool] = lambda: False
) -> int:
    """Delete refused events of the hours before that time (naive UTC); how many objects."""
    first_kept = f"{QUARANTINE_PREFIX}{before:%Y/%m/%d/%H}"
    old: list[str] = []
    deleted = 0
    for info in store.list(QUARANTINE_PREFIX):
        if info.key >= first_kept or is_over():
            break
        old.append(info.key)
        if len(old) == _DELETED_AT_ONCE:
            deleted += store.delete(old)
            old = []
    return deleted + store.delete(old)


def read_cleanup(store: Store) -> tuple[Cleanup, ObjectInfo | None]:
    """How far it has come, and the object that says so, for a conditional replacement."""
    try:
        data, info = store.get_with_info(CLEANUP_KEY)
    except NotFound:
        return Cleanup(), None
    return Cleanup(**json.loads(data)), info


def _write(store: Store, state: Cleanup, info: ObjectInfo | None) -> tuple[Cleanup, ObjectInfo]:
    """Write the state over the one that was read: of two clean-ups the second one stops."""
    data = json.dumps(asdict(state)).encode()
    if info is None:
        return state, store.create(CLEANUP_KEY, data, content_type="application/json")
    etag = info.etag
    return state, store.replace(CLEANUP_KEY, data, if_match=etag, content_type="application/json")


def _prove(lake: Lake, window: Window, marker: PublishedWindow) -> None:
    """Return when the window adds up, or has no object left. Raises LandingNotProven."""
    count = count_window(lake, marker)
    if count.is_gone:
        left = [item.key for item in window.objects if lake.store.exists(item.key)]
        if left:
            raise LandingNotProven(
                f"window {window.n} has lost {len(window.objects) - len(left)} of its "
                f"{len(window.objects)} landing objects, so the others cannot be proven to be "
                f"published (first: {left[0]}): look at them, and delete them by hand"
            )
    elif not count.adds_up:
        raise LandingNotProven(
            f"window {window.n} does not add up: {_difference(count)}. Its landing objects stay, "
            "and those after it. Look at it, and publish it again"
        )


def _difference(count: WindowCount) -> str:
    wrong = [item for item in count.objects if not item.adds_up]
    if wrong:
        first = wrong[0]
        return (
            f"{len(wrong)} of {len(count.objects)} objects are not in the tables as they landed "
            f"(first: {first.key}, {first.once} of {first.events} events are there once)"
        )
    brought = sum(item.brought for item in count.objects)
    return f"its objects brought {brought} rows, and the tables have {count.table_rows} of it"
