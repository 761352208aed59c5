"""Clean-up of VODs: the old ones are hidden, and those that were hidden long enough are deleted.

What belongs here: the order, and the objects. What does not: which VODs are due
(`library.retention`), and when it runs (the asset `vod_cleanup`).

A VOD is claimed before its first object goes, and its rows go after its last one: killed anywhere,
the next run deletes the rest, and no row is without its objects that could still be restored. What
was made from a VOD for somewhere else (clips) has objects of its own and stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from aethex.library import Library, audit, retention, vods, watching
from aethex.library.retention import Condemned
from aethex.settings import Settings
from aethex.store import Store, StoreError, StoreUnreachable

_AT_MOST = 500
"""VODs in one run; the next one goes on."""

Progress = Callable[[str, float], None]
"""Called with the VOD's title and the share of VODs done, 0 to 1."""


@dataclass(frozen=True)
class Purged:
    """A VOD that was deleted, or would be: how many objects, and their bytes."""

    vod_id: str
    channel_id: str
    title: str
    reason: str
    objects: int
    size_bytes: int


@dataclass
class CleanedUp:
    """What a clean-up did, or would do in a dry run."""

    is_dry_run: bool
    expired: dict[str, str] = field(default_factory=dict[str, str])
    """Titles of the VODs that were hidden because they are old, by id."""
    purged: list[Purged] = field(default_factory=list[Purged])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Why objects of a VOD could not be deleted, by its id; the next run tries again."""

    @property
    def objects(self) -> int:
        return sum(one.objects for one in self.purged)

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.purged)


def clean_up_vods(
    library: Library,
    store: Store,
    settings: Settings,
    now: datetime,
    *,
    is_dry_run: bool = False,
    progress: Progress | None = None,
) -> CleanedUp:
    """Hide what has expired, delete what was hidden long enough; a dry run only says what it would.
    What people took out of their histories goes for good too.

    A VOD whose objects cannot be deleted keeps no other one from going. Raises StoreUnreachable and
    DatabaseUnreachable; what was done until then stays done.
    """
    done = CleanedUp(is_dry_run)
    with library.session() as s:
        for vod in retention.expired(s, now, settings.recording_delete_after_days, _AT_MOST):
            done.expired[vod.id] = vod.title
            if not is_dry_run:
                vods.mark_deleted(s, vod.id, now, "expired")
                audit.record(s, audit.COMMAND_LINE, "vod.expire", vod.id, title=vod.title)
        due = retention.due_for_purge(s, now, _AT_MOST)
        if not is_dry_run:  # nobody may have removed anything since, which would have done it
            watching.forget_removed(s, now)
    for number, condemned in enumerate(due):
        if progress is not None:
            progress(condemned.title, number / len(due))
        try:
            if is_dry_run:
                done.purged.append(_measured(store, condemned))
            elif (purged := _purge(library, store, condemned, now)) is not None:
                done.purged.append(purged)
        except StoreUnreachable:
            raise  # so are all others
        except StoreError as error:
            done.failed[condemned.vod_id] = str(error)
    return done


def _purge(library: Library, store: Store, condemned: Condemned, now: datetime) -> Purged | None:
    """Delete one VOD; None when it was restored meanwhile, even if it is deleted again."""
    with library.session() as s:
        if not retention.begin_purge(s, condemned.vod_id, condemned.since, now):
            return None
    purged = _measured(store, condemned)
    for folder in condemned.folders:
        store.delete([info.key for info in store.list(folder)])
    with library.session() as s:
        retention.finish_purge(s, condemned.vod_id)
        told = {"title": condemned.title, "channel_id": condemned.channel_id}
        told |= {"reason": condemned.reason}
        audit.record(s, audit.COMMAND_LINE, "vod.purge", condemned.vod_id, **told)
    return purged


def _measured(store: Store, condemned: Condemned) -> Purged:
    sizes = [info.size_bytes for folder in condemned.folders for info in store.list(folder)]
    return Purged(
        vod_id=condemned.vod_id,
        channel_id=condemned.channel_id,
        title=condemned.title,
        reason=condemned.reason,
        objects=len(sizes),
        size_bytes=sum(sizes),
    )
