"""Views and likes of VODs, as the current build has them.

What belongs here: which VODs a build can speak of. What does not: counting
(`aethex.lake.players`). Totals are extra: whatever fails here, VODs are shown without them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb

from aethex.lake.players import NOTHING_YET, ContentTotals, content_totals
from aethex.library import Vod
from aethex.service.marts import Marts
from aethex.service.problems import Problem
from aethex.store import StoreError

_log = logging.getLogger(__name__)


def totals_of(marts: Marts, vods: Sequence[Vod]) -> Mapping[str, ContentTotals]:
    """Totals by VOD id. A VOD that is missing here is not measured: there is no build yet, or it is
    newer than all that the build knows of.
    """
    try:
        opened = marts.current_or_none()
        if opened is None or opened.fresh_until is None:
            return {}
        fresh_until = opened.fresh_until
        ids = tuple(sorted(vod.id for vod in vods if vod.created_at < fresh_until))
        if not ids:
            return {}
        found = opened.answer(("totals", ids), lambda con: content_totals(con, ids))
    except (StoreError, OSError, Problem, duckdb.Error):
        _log.warning("Views and likes could not be read", exc_info=True)
        return {}
    return {vod_id: found.get(vod_id, NOTHING_YET) for vod_id in ids}


def fresh_until_of(marts: Marts) -> datetime | None:
    """What was received before this is in the totals; None where nothing is measured."""
    try:
        opened = marts.current_or_none()
    except (StoreError, OSError, Problem, duckdb.Error):
        return None
    return opened.fresh_until if opened else None
