"""Queries about captions of VODs.

What belongs here: which a VOD has, bringing, replacing and removing them, with what that means for
the VOD's size. What does not: their objects; who removes a row here gets the key of the object that
nothing names any more, to delete it after the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.models import CaptionsKind, CaptionsSource, Vod, VodCaptions
from aethex.library.values import valid_text

MOST_LANGUAGES = 50
"""Of one VOD."""


@dataclass(frozen=True)
class NewCaptions:
    """Captions whose object is stored; see `VodCaptions`."""

    language: str
    label: str
    kind: CaptionsKind
    source: CaptionsSource
    key: str
    bytes: int
    cues: int


def of_vod(s: Session, vod_id: str) -> Sequence[VodCaptions]:
    """A VOD's captions by their label."""
    query = select(VodCaptions).where(VodCaptions.vod_id == vod_id)
    return s.scalars(query.order_by(VodCaptions.label, VodCaptions.language)).all()


def add_with_vod(s: Session, vod_id: str, new: Sequence[NewCaptions]) -> None:
    """Enter the captions that a new VOD comes with; its `size_bytes` holds theirs already."""
    if new:
        s.execute(insert(VodCaptions), [asdict(one) | {"vod_id": vod_id} for one in new])


def put(s: Session, vod_id: str, new: NewCaptions) -> str | None:
    """Bring captions, in the place of those of their language; the key that is then of nothing.

    Raises NotInLibrary, InvalidValue for a VOD that is not there to be watched, one that has too
    many languages, or a label that cannot be one.
    """
    vod = _open_vod(s, vod_id)
    label = valid_text(new.label, "label")
    before = s.get(VodCaptions, (vod_id, new.language))
    if before is None:
        count = select(func.count()).where(VodCaptions.vod_id == vod_id)
        if (s.scalar(count) or 0) >= MOST_LANGUAGES:
            raise InvalidValue(
                f"This VOD has captions in {MOST_LANGUAGES} languages, the most: remove some."
            )
    old_key = before.key if before else None
    vod.size_bytes = (vod.size_bytes or 0) + new.bytes - (before.bytes if before else 0)
    if before is not None:
        s.delete(before)
        s.flush()
    s.add(VodCaptions(vod_id=vod_id, **asdict(new) | {"label": label}))
    s.flush()
    return old_key


def remove(s: Session, vod_id: str, language: str) -> str | None:
    """Take captions away; the key that is then of nothing. None: there were none.

    Raises NotInLibrary, InvalidValue for a VOD that is not there to be watched.
    """
    vod = _open_vod(s, vod_id)
    row = s.get(VodCaptions, (vod_id, language))
    if row is None:
        return None
    vod.size_bytes = (vod.size_bytes or 0) - row.bytes
    s.delete(row)
    s.flush()
    return row.key


def _open_vod(s: Session, vod_id: str) -> Vod:
    """The VOD, locked: nobody deletes it, or changes its captions, in between."""
    query = select(Vod).where(Vod.id == vod_id).with_for_update()
    vod = s.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if vod is None:
        raise NotInLibrary(f"There is no VOD {vod_id}: check the id.")
    if vod.deleted_at is not None:
        raise InvalidValue("This VOD is deleted: restore it before you change its captions.")
    if vod.status != "ready":
        raise InvalidValue("This VOD is not ready yet: bring its captions when it can be played.")
    return vod
