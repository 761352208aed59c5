"""Trending scores against the formula of docs/metrics.md in plain Python, on made-up actions."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aethex.lake.models import load_models
from tests.model_runs import Row, fill_inputs, run

HOUR = datetime.fromisoformat("2024-05-08T12:00")
MODEL = load_models()["trending"]
WEIGHTS = {"view": 1, "like": 3, "share": 5, "page_visit": 8}
LENGTH_MS = 600_000
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Act:
    """What a viewer did with a VOD, so many seconds before the hour."""

    viewer: int
    vod: int
    kind: str
    age_seconds: int
    watched_ms: int = 0

    @property
    def at(self) -> datetime:
        return HOUR - timedelta(seconds=self.age_seconds)


def vod(number: int, channel: int = 0) -> Row:
    """VODs of equal scores follow each other by when they were made."""
    return {
        "vod_id": f"vod_{number:03}",
        "channel_id": f"ch_{channel}",
        "duration_ms": LENGTH_MS,
        "created_at": HOUR - timedelta(days=number % 2),
    }


def trending(acts: list[Act], vods: list[Row]) -> dict[str, Row]:
    """The model's rows by VOD."""
    channel_of = {row["vod_id"]: row["channel_id"] for row in vods}
    sessions, views, engagement = list[Row](), list[Row](), list[Row]()
    for n, act in enumerate(acts):
        content_id = f"vod_{act.vod:03}"
        common = {"channel_id": channel_of[content_id], "viewer_id": f"vw_{act.viewer}"}
        of_vod = {"content_kind": "vod", "content_id": content_id, "session_id": f"s-{n}"}
        own = {**common, **of_vod, "day": act.at.date()}
        if act.kind == "view":
            sessions.append({**own, "started_at": act.at, "watched_ms": act.watched_ms})
            views.append({**own, "viewed_at": act.at, "is_filtered": True})
        elif act.kind == "page_visit":
            visit = {"action": act.kind, "page": "channel", "ref": content_id}
            engagement.append({**common, **visit, "occurred_at": act.at})
        else:
            at = {"occurred_at": act.at, "vod_id": content_id, "action": act.kind}
            engagement.append({**common, **at})
    inputs = {"dim_vods": vods, "sessions": sessions, "views": views}
    with fill_inputs({**inputs, "engagement_events": engagement}) as con:
        return {row["content_id"]: row for row in run(con, MODEL, HOUR)}


def expected(acts: list[Act], channels: dict[int, int]) -> dict[str, tuple[float, float]]:
    """Points and completion by VOD, without a word of SQL."""
    first: dict[Any, datetime] = {}
    shares: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    taken_back = {(a.viewer, a.vod) for a in acts if a.kind == "like"} & {
        (a.viewer, a.vod)
        for a in acts
        if a.kind == "unlike" and a.at == max(b.at for b in acts if _is_liking(a, b))
    }
    for act in acts:
        if act.age_seconds > 7 * 86400 or act.kind == "unlike":
            continue
        if act.kind == "like" and (act.viewer, act.vod) in taken_back:
            continue
        day = None if act.kind == "like" else act.at.date()
        key = (act.vod, act.kind, act.viewer, day)
        first[key] = min(act.at, first.get(key, act.at))
        if act.kind == "view":
            shares[act.vod][act.viewer] += act.watched_ms / LENGTH_MS
    points: Counter[int] = Counter()
    for (number, kind, *_), at in first.items():
        points[number] += WEIGHTS[kind] * 0.5 ** ((HOUR - at) / timedelta(hours=12))
    found: dict[str, tuple[float, float]] = {}
    for number, watched in shares.items():
        in_channel = [
            min(share, 1)
            for other, by_viewer in shares.items()
            if channels[other] == channels[number]
            for share in by_viewer.values()
        ]
        mean = sum(in_channel) / len(in_channel)
        own = sum(min(share, 1) for share in watched.values())
        if len(watched) >= 5:
            found[f"vod_{number:03}"] = points[number], (own + 5 * mean) / (len(watched) + 5)
    return found


def _is_liking(one: Act, other: Act) -> bool:
    return (one.viewer, one.vod) == (other.viewer, other.vod) and other.kind in ("like", "unlike")


acts = st.builds(
    Act,
    viewer=st.integers(0, 7),
    vod=st.integers(0, 3),
    kind=st.sampled_from(["view", "view", "view", "like", "unlike", "share", "page_visit"]),
    # odd ages, so that no two actions are at one instant but by chance
    age_seconds=st.one_of(st.integers(0, 86_400), st.integers(0, 8 * 86_400)),
    watched_ms=st.integers(10_000, 2 * LENGTH_MS),
)


@FEW
@given(st.lists(acts, min_size=20, max_size=80, unique_by=lambda act: act.age_seconds))
def test_scores_are_the_formula_s(made: list[Act]) -> None:
    channels = {number: number // 2 for number in range(4)}
    found = trending(made, [vod(number, channel) for number, channel in channels.items()])
    wanted = expected(made, channels)
    assert found.keys() == wanted.keys()
    for content_id, (points, completion) in wanted.items():
        row = found[content_id]
        assert row["points"] == pytest.approx(points, abs=1e-6)
        assert row["completion_ratio"] == pytest.approx(completion, abs=1e-5)
        assert row["score"] == row["points"] * row["completion_ratio"]


def watched_by(viewers: int, number: int, age_seconds: int = 3600) -> list[Act]:
    return [Act(viewer, number, "view", age_seconds, LENGTH_MS) for viewer in range(viewers)]


def test_vods_of_less_than_five_viewers_are_left_out() -> None:
    again = [Act(0, 1, "view", 90_000, LENGTH_MS)]
    found = trending([*watched_by(5, 0), *watched_by(4, 1), *again], [vod(0), vod(1)])
    assert found.keys() == {"vod_000"}


def test_a_channel_has_three_places_in_the_list_and_all_among_its_own() -> None:
    of_one = [act for number in range(5) for act in watched_by(9 - number, number)]
    vods = [*(vod(number) for number in range(5)), vod(5, channel=1)]
    found = trending([*of_one, *watched_by(5, 5)], vods)
    assert [(row["list_rank"], row["channel_rank"]) for row in found.values()] == [
        *((1, 1), (2, 2), (3, 3), (None, 4), (None, 5), (4, 1))
    ]


def test_the_list_has_fifty_places() -> None:
    acts = [act for number in range(54) for act in watched_by(5, number)]
    found = trending(acts, [vod(number, channel=number // 2) for number in range(54)])
    ranks = sorted(row["list_rank"] for row in found.values() if row["list_rank"])
    assert (len(found), ranks) == (54, list(range(1, 51)))


def test_of_equal_scores_the_newest_comes_first() -> None:
    made = [act for number in range(3) for act in watched_by(5, number)]
    found = trending(made, [vod(number, channel=number) for number in range(3)])
    assert len({row["score"] for row in found.values()}) == 1
    # vod_001 is a day older than the other two; of these the greater id stands first
    assert {name: row["list_rank"] for name, row in found.items()} == {
        **{"vod_002": 1, "vod_000": 2, "vod_001": 3}
    }
