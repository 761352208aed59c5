"""What the numbers must be, from what people did and not from their events.

What belongs here: counting behaviour. What does not: sessions, views or marks as models make them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aethex.simulation.crowd import HOUR_MS, Crowd, Said
from aethex.simulation.network import Request, distinct, iso
from aethex.simulation.player import Watch


@dataclass(frozen=True)
class ContentTruth:
    """One stream or VOD, of all sessions or of those of people."""

    sessions: int
    views: int
    unique_viewers: int
    watched_ms: int
    present_ms: int


def truth_of(crowd: Crowd, requests: Sequence[Request]) -> dict[str, Any]:
    """All of it, as JSON: by content raw and filtered, chat, follows, marks, events."""
    plan = crowd.plan
    watched: dict[str, list[Watch]] = defaultdict(list)
    for watch in crowd.watches:
        watched[watch.content.id].append(watch)
    marks: dict[str, list[str]] = defaultdict(list)
    for watch in crowd.watches:
        if watch.rule:
            marks[watch.rule].append(watch.session_id)
    return {
        "seed": plan.seed,
        "viewers": plan.viewers,
        "from": iso(plan.began_ms),
        "to": iso(plan.ended_ms),
        "stream_id": plan.stream.id if plan.stream else None,
        "content": {
            content_id: {
                "kind": watches[0].content.kind,
                "raw": asdict(_count(watches)),
                "filtered": asdict(_count(watch for watch in watches if not watch.rule)),
            }
            for content_id, watches in sorted(watched.items())
        },
        "chat": {
            "messages": sum(said.kind == "chat" for said in crowd.said),
            "chatters": len({said.viewer_id for said in crowd.said if said.kind == "chat"}),
        },
        "follows": _count_follows([said for said in crowd.said if said.kind == "follow"]),
        "likes": dict(sorted(_count_likes(crowd.said).items())),
        "marks": {rule: sorted(sessions) for rule, sessions in sorted(marks.items())},
        "events": {
            "requests": len(requests),
            "sent": sum(len(request.events) for request in requests),
            "distinct": len(distinct(requests)),
        },
    }


def _count(watches: Iterable[Watch]) -> ContentTruth:
    sessions = list(watches)
    views = {
        (watch.viewer_id or watch.session_id, watch.viewed_ms // HOUR_MS)
        for watch in sessions
        if watch.viewed_ms is not None
    }
    return ContentTruth(
        sessions=len(sessions),
        views=len(views),
        unique_viewers=len({watch.viewer_id for watch in sessions} - {None}),
        watched_ms=sum(watch.watched_ms for watch in sessions),
        present_ms=sum(watch.present_ms for watch in sessions),
    )


def _count_follows(follows: Sequence[Said]) -> dict[str, int]:
    balance = Counter[str]()
    for said in follows:
        balance[said.viewer_id] += 1 if said.action == "follow" else -1
    return {
        "follows": sum(said.action == "follow" for said in follows),
        "unfollows": sum(said.action == "unfollow" for said in follows),
        "new_followers": sum(change > 0 for change in balance.values()),
    }


def _count_likes(said: Iterable[Said]) -> dict[str, int]:
    """Likes without those that were taken back, by content."""
    balance = Counter[str]()
    for one in said:
        if one.kind == "engagement" and one.content is not None:
            balance[one.content.id] += 1 if one.action == "like" else -1
    return dict(balance)
