"""A channel's VODs in an order: the library filters, the marts give the scores.

What belongs here: which orders there are, where the scores of each come from, and one page of the
list. What does not: SQL (`library.finding`, `lake.players`), HTTP.

An order by scores is offered only where the current build has any. Scores are read once a build and
channel. "Most watched" goes by watched seconds: a view of ten seconds is not ten hours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

import duckdb
from sqlalchemy.orm import Session

from aethex.lake.players import vod_watched_seconds
from aethex.lake.trending import vod_scores
from aethex.library import Page, Vod, finding
from aethex.library.finding import Wanted
from aethex.service.marts import Marts
from aethex.service.problems import Problem, bad_field
from aethex.store import StoreError

Sort = Literal["newest", "best_match", "most_watched", "trending"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_Scores = Callable[[duckdb.DuckDBPyConnection, str, datetime | None], Mapping[str, float]]
_SCORES: dict[Sort, _Scores] = {
    "most_watched": lambda con, channel_id, _: vod_watched_seconds(con, channel_id),
    "trending": lambda con, channel_id, fresh_until: (
        vod_scores(con, channel_id, fresh_until) if fresh_until else {}
    ),
}
"""From a build, a channel and how far the build knows to a number by VOD id, the higher the further
up. An order without an entry is not measured."""

VODS_A_PAGE = 12

_log = logging.getLogger(__name__)


def ranking_of(marts: Marts, channel_id: str, sort: Sort) -> Sequence[str]:
    """The channel's VODs that have a score for this order, the highest first, of equal ones the
    newest; none where nothing is measured, or the marts cannot be read now.
    """
    source = _SCORES.get(sort)
    if source is None:
        return []
    try:
        opened = marts.current_or_none()
        if opened is None:
            return []
        return opened.answer(
            ("ranking", sort, channel_id),
            lambda con: _ranked(source(con, channel_id, opened.fresh_until)),
        )
    except (StoreError, OSError, Problem, duckdb.Error):
        _log.warning("Scores for %s could not be read", sort, exc_info=True)
        return []


def _ranked(scores: Mapping[str, float]) -> list[str]:
    # ids sort by the time they were made
    newest = sorted(scores, reverse=True)
    return sorted(newest, key=lambda vod_id: scores[vod_id], reverse=True)


def offered_sorts(marts: Marts, channel_id: str, wanted: Wanted) -> list[Sort]:
    """The orders that make sense now: best match for words, and scores that there are."""
    return [
        sort
        for sort in SORTS
        if sort == "newest"
        or (sort == "best_match" and finding.search_text(wanted.q))
        or ranking_of(marts, channel_id, sort)
    ]


def list_vods(
    session: Session,
    marts: Marts,
    channel_id: str,
    wanted: Wanted,
    *,
    sort: Sort | None,
    page: int,
    per_page: int,
) -> Page[Vod]:
    """One page of the channel's VODs. No order: best match for words, else the newest.

    Raises Problem (422) for an order that nothing is measured for.
    """
    if sort is None:
        sort = "best_match"  # without words this is the newest
    if sort == "newest":
        return finding.newest(session, channel_id, wanted, page, per_page)
    if sort == "best_match":
        return finding.best_match(session, channel_id, wanted, page, per_page)
    ranking = ranking_of(marts, channel_id, sort)
    if not ranking:
        raise bad_field(
            "sort",
            f"Nothing is measured yet for {sort} in this channel.",
            f"Use one of {', '.join(offered_sorts(marts, channel_id, wanted))}.",
        )
    return finding.by_rank(session, channel_id, wanted, ranking, page, per_page)
