"""Queries across channels, for pages that everybody sees.

What belongs here: VODs of all channels (the newest, or those of a list), and what a page of many
VODs needs beside them. What does not: lists of one channel (`vods`), and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from aethex.library.models import Vod, VodRun, VodSegment
from aethex.library.vods import is_listed


@dataclass(frozen=True, slots=True)
class RunSpan:
    """One unbroken piece of a VOD: the wall clock of its begin, and its length in milliseconds."""

    run_id: str
    started_at: datetime
    duration_ms: int


def newest_vods(s: Session, limit: int) -> Sequence[Vod]:
    """The newest VODs that everybody may see, of all channels, the newest first."""
    return s.scalars(newest_first().limit(limit)).all()


def newest_first() -> Select[Vod]:
    """The query behind `newest_vods`, without its limit."""
    return select(Vod).where(is_listed()).order_by(Vod.created_at.desc(), Vod.id.desc())


def listed_vods(s: Session, vod_ids: Sequence[str]) -> Sequence[Vod]:
    """Those of these VODs that everybody may see, in the order given."""
    found = s.scalars(select(Vod).where(Vod.id.in_(vod_ids), is_listed()))
    by_id = {vod.id: vod for vod in found}
    return [by_id[vod_id] for vod_id in vod_ids if vod_id in by_id]


def count_vods(s: Session, channel_ids: Iterable[str]) -> dict[str, int]:
    """How many VODs that everybody may see each channel has; channels without are left out."""
    counted = (
        select(Vod.channel_id, func.count())
        .where(Vod.channel_id.in_(list(channel_ids)), is_listed())
        .group_by(Vod.channel_id)
    )
    return dict(s.execute(counted).all())


def run_spans(s: Session, vod_id: str) -> list[RunSpan]:
    """A VOD's runs in order, each as long as its segments reach."""
    length = func.coalesce(func.max(VodSegment.start_ms + VodSegment.duration_ms), 0)
    asked = (
        select(VodRun.id, VodRun.started_at, length)
        .outerjoin(VodSegment, VodSegment.run_id == VodRun.id)
        .where(VodRun.vod_id == vod_id)
        .group_by(VodRun.id)
        .order_by(VodRun.started_at, VodRun.position)
    )
    return [RunSpan(*row) for row in s.execute(asked)]
