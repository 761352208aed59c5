"""Queries that find VODs of one channel: by words, by dates, in an order.

What belongs here: what to search for, read from what somebody typed, and the lists behind a
channel's page. What does not: where scores for an order come from (the service asks the lake).

A VOD's words are in `search_vector`, made by the database: small letters without accents, cut at
punctuation and spaces. Scripts that put no spaces between words are found from the begin of a run
of letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Function,
    Select,
    Text,
    and_,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.orm import Session

from aethex.library.models import Stream, Vod
from aethex.library.pages import Page, offset_of
from aethex.library.vods import is_listed

MAX_QUERY_LENGTH = 200
_MAX_WORDS = 16
# The same characters as in `vod_search_vector`: what is space between words.
_BETWEEN = "\x00-/:-@\\[-`{-\u00bf\u2000-\u206f\u3000-\u303f"
_MARKS = re.compile("[\u0300-\u036f]")
_SPLIT = re.compile(f"[{_BETWEEN}]+")
_TERM = re.compile(r'(-?)(?:"([^"]*)(?:"|$)|(\S+))')


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which VODs of a channel.

    q: words to find; from_at, to_at: a VOD's date, half open; is_owner: for the channel's owner,
    who also sees private VODs and those that can be restored.
    """

    q: str = ""
    from_at: datetime | None = None
    to_at: datetime | None = None
    is_owner: bool = False


def newest(
    s: Session, channel_id: str, wanted: Wanted, page: int = 1, per_page: int = 12
) -> Page[Vod]:
    """The newest first, by when they were streamed.

    Raises InvalidValue for a page out of bounds, as all lists here.
    """
    return _page(s, _matching(channel_id, wanted), page, per_page)


def best_match(
    s: Session, channel_id: str, wanted: Wanted, page: int = 1, per_page: int = 12
) -> Page[Vod]:
    """Where the words stand in the title or often first; without words, the newest first."""
    matching = _matching(channel_id, wanted)
    if text := search_text(wanted.q):
        rank = func.ts_rank(Vod.search_vector, _tsquery(text))
        return _page(s, matching, page, per_page, rank.desc())
    return _page(s, matching, page, per_page)


def by_rank(
    s: Session,
    channel_id: str,
    wanted: Wanted,
    ranked: Sequence[str],
    page: int = 1,
    per_page: int = 12,
) -> Page[Vod]:
    """In the order of these ids; those that are not among them after all others, the newest first.

    The ids go over as one text: as an array, 10,000 of them cost more than the query.
    """
    ids = func.string_to_array(",".join(ranked), ",", type_=ARRAY(Text))
    ranks = func.unnest(ids).table_valued("vod_id", with_ordinality="rank").render_derived("ranks")
    matching = _matching(channel_id, wanted).outerjoin(ranks, ranks.c.vod_id == Vod.id)
    return _page(s, matching, page, per_page, ranks.c.rank.asc().nulls_last())


def search_text(q: str) -> str:
    """What somebody typed as the text of a tsquery; empty when there is no word in it.

    Words are joined by and, `or` between two means either, `-word` leaves out, `"two words"` stand
    side by side. The last word is one that is still being typed: its begin is enough. Nothing that
    can be typed is an error.
    """
    whole = q[:MAX_QUERY_LENGTH].encode(errors="replace").decode()  # without half characters
    # accents go before it is taken apart: a word of accents alone, as ´ is one, is no word
    folded = _MARKS.sub("", unicodedata.normalize("NFKD", whole))
    terms: list[str] = []
    is_either = False
    for found in _TERM.finditer(folded):
        minus, quoted, word = found.groups()
        if word is not None and word.lower() == "or" and not minus:
            is_either = bool(terms)
            continue
        words = [part for part in _SPLIT.split(quoted if word is None else word) if part]
        if not words:
            continue
        is_last = word is not None and found.end() == len(folded)
        term = " <-> ".join(f"'{part}'" for part in words) + (":*" if is_last else "")
        terms.append(f"{'| ' if is_either else '& '}{'!' if minus else ''}({term})")
        is_either = False
    return " ".join(terms[:_MAX_WORDS]).removeprefix("& ")


def _matching(channel_id: str, wanted: Wanted) -> Select[str]:
    """The ids."""
    query = select(Vod.id).where(Vod.channel_id == channel_id, _visible(wanted.is_owner))
    if text := search_text(wanted.q):
        query = query.where(Vod.search_vector.bool_op("@@")(_tsquery(text)))
    query = query.outerjoin(Stream, Stream.id == Vod.stream_id)
    if wanted.from_at:
        query = query.where(_streamed_at() >= wanted.from_at)
    if wanted.to_at:
        query = query.where(_streamed_at() < wanted.to_at)
    return query


def _streamed_at() -> ColumnElement[datetime]:
    """The date that stands on a VOD's card."""
    return func.coalesce(Stream.started_at, Vod.created_at)


def _visible(is_owner: bool) -> ColumnElement[bool]:
    if not is_owner:
        return is_listed()
    return and_(Vod.status == "ready", Vod.purge_started_at.is_(None))


def _tsquery(text: str) -> Function[str]:
    # normalised before it was taken apart, so that nothing here can become a sign again
    folded = func.regexp_replace(func.lower(text), _MARKS.pattern, "", "g")
    return func.to_tsquery("pg_catalog.simple", folded, type_=TSQUERY)


def _page(
    s: Session,
    matching: Select[str],
    page: int,
    per_page: int,
    *first: ColumnElement[Any],
) -> Page[Vod]:
    """A page of these, ordered by what comes `first`, then the newest.

    Finding counts and orders ids alone, in one pass: whole rows are ten times as wide, and only one
    page of them is wanted.
    """
    offset = offset_of(page, per_page)
    ordered = matching.add_columns(func.count().over()).order_by(
        *first, _streamed_at().desc(), Vod.id.desc()
    )
    found = s.execute(ordered.offset(offset).limit(per_page)).all()
    if found:
        total = found[0][1]
    else:  # behind the last page
        total = s.scalar(select(func.count()).select_from(matching.subquery())) if offset else 0
    ids = [row[0] for row in found]
    rows = {vod.id: vod for vod in s.scalars(select(Vod).where(Vod.id.in_(ids)))}
    # one that was removed between the two queries is left out
    return Page([rows[vod_id] for vod_id in ids if vod_id in rows], total or 0)
