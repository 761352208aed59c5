"""Sessions, views, marks and audiences against the reference, on players around midnight."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aethex.lake.models import load_models
from tests.lake.session_reference import (
    ORIGIN,
    ORIGIN_MS,
    Session,
    audiences,
    began_at,
    days_of,
    grouped,
    intervals,
    is_on,
    peak,
    present,
    rows_of_sessions,
    viewed_at,
    views,
    watched,
)
from tests.model_runs import Row, fill_inputs, rows_of, run

MANY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
HOUR_MS = 3_600_000
STREAM_FROM = ORIGIN.replace(tzinfo=None) + timedelta(hours=1)
STREAM_TO = STREAM_FROM + timedelta(hours=3)
TABLES = ("sessions", "bot_marks", "views", "content_daily", "stream_audience")


def computed(made: list[Session], **inputs: list[Row]) -> dict[str, list[Row]]:
    """The models' rows of all days."""
    stream = {
        "stream_id": "st_1",
        "channel_id": "ch_1",
        "stream_day": STREAM_FROM.date(),
        "started_at": STREAM_FROM,
        "ended_at": STREAM_TO,
    }
    owner = {"channel_id": "ch_1", "owner_id": "usr_owner"}
    given_inputs = {
        "playback_events": rows_of_sessions(made),
        "dim_streams": [stream],
        "dim_channel_owners": [owner],
        **inputs,
    }
    models = load_models()
    with fill_inputs(given_inputs) as con:
        for name in TABLES:
            model = models[name]
            days = [STREAM_FROM.date()] if model.partition_column == "stream_day" else days_of(made)
            for day in days:
                run(con, model, day)
        return {name: rows_of(con, name) for name in TABLES}


def is_marked(session: Session) -> bool:
    return session.crawler is not None or session.viewer_id == "usr_owner"


@MANY
@given(audiences())
def test_sessions_content_and_audience_are_the_reference_s(made: list[Session]) -> None:
    """All of it of one computation: that is what costs."""
    tables = computed(made)
    assert_sessions_are_split_at_midnight(made, tables["sessions"])
    assert_content_has_what_its_sessions_have_raw_and_filtered(made, tables["content_daily"])
    assert_a_stream_s_audience_is_the_sweep_of_its_sessions(made, tables["stream_audience"])


def assert_sessions_are_split_at_midnight(made: list[Session], rows: list[Row]) -> None:
    for session in made:
        own = [row for row in rows if row["session_id"] == session.id]
        assert sum(row["watched_ms"] for row in own) == watched([session])
        assert sum(row["present_ms"] for row in own) == sum(
            i.to_ms - i.from_ms for i in intervals(session)
        )
        assert [ms(row["started_at"]) for row in own if row["is_first"]] == [began_at(session)]
        at = viewed_at(session)
        assert [ms(row["viewed_at"]) for row in own if row["viewed_at"]] == ([at] if at else [])
        for day in days_of(made):
            on_day = [row for row in own if row["day"] == day]
            assert sum(row["watched_ms"] for row in on_day) == watched([session], day)
            assert bool(on_day) == is_on(session, day)


def assert_content_has_what_its_sessions_have_raw_and_filtered(
    made: list[Session], rows: list[Row]
) -> None:
    for content_id, sessions in grouped(made).items():
        people = [s for s in sessions if not is_marked(s)]
        own = [row for row in rows if row["content_id"] == content_id]
        for suffix, counted in (("_raw", sessions), ("", people)):
            assert total(own, f"sessions{suffix}") == len(counted)
            assert total(own, f"views{suffix}") == views(counted)
            assert round(total(own, f"watched_seconds{suffix}") * 1000) == watched(counted)
            for row in own:
                there = {s.viewer_id for s in counted if is_on(s, row["day"])} - {None}
                assert row[f"unique_viewers{suffix}"] == len(there)


def assert_a_stream_s_audience_is_the_sweep_of_its_sessions(
    made: list[Session], rows: list[Row]
) -> None:
    sessions = grouped(made).get("st_1", [])
    assert len(rows) == bool(sessions)
    for row in rows:
        live = ms(STREAM_FROM), ms(STREAM_TO)
        for suffix, counted in (
            ("_raw", sessions),
            ("", [s for s in sessions if not is_marked(s)]),
        ):
            assert row[f"sessions{suffix}"] == len(counted)
            assert row[f"unique_viewers{suffix}"] == len({s.viewer_id for s in counted} - {None})
            assert row[f"views{suffix}"] == views(counted)
            assert round(row[f"watched_seconds{suffix}"] * 1000) == watched(counted)
            assert round(row[f"present_seconds{suffix}"] * 1000) == present(counted, *live)
            assert row[f"peak_concurrent{suffix}"] == peak(counted, *live)
        assert row["live_seconds"] == 3 * 3600


@settings(MANY, max_examples=10)
@given(audiences(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_came_in_changes_nothing(
    made: list[Session], chance: random.Random
) -> None:
    shuffled = [
        Session(
            s.id, s.content_id, s.viewer_id, tuple(chance.sample(s.beats, len(s.beats))), s.crawler
        )
        for s in chance.sample(made, len(made))
    ]
    assert computed(shuffled) == computed(made)


def beats(start_ms: int, count: int, step_ms: int = 15_000, *, is_paused: bool = False) -> Any:
    from tests.lake.session_reference import Beat

    return tuple(
        Beat(
            start_ms + n * step_ms, n, n * step_ms, 0 if is_paused else n * step_ms, None, is_paused
        )
        for n in range(count)
    )


def rules(made: list[Session]) -> set[tuple[str, str]]:
    return {(row["session_id"], row["rule"]) for row in computed(made)["bot_marks"]}


def test_more_than_a_day_without_a_pause_is_marked_on_every_day_that_it_touches() -> None:
    a_day = 24 * HOUR_MS
    minutes = a_day // 60_000
    endless = Session("endless", "vod_1", "vw_1", beats(ORIGIN_MS, minutes + 2, 60_000))
    a_day_exactly = Session("exact", "vod_1", "vw_2", beats(ORIGIN_MS, minutes + 1, 60_000))
    paused = Session(
        "paused", "vod_1", "vw_3", beats(ORIGIN_MS, minutes + 9, 60_000, is_paused=True)
    )
    rows = computed([endless, a_day_exactly, paused])["bot_marks"]
    assert {row["session_id"] for row in rows} == {"endless"}
    assert {row["day"] for row in rows} == {date(2024, 2, 28), date(2024, 2, 29)}
    assert {row["rule"] for row in rows} == {"no_pause_for_24_hours"}


def test_more_than_fifty_sessions_of_a_viewer_in_a_minute_are_marked() -> None:
    burst = [
        Session(f"burst-{n}", "vod_1", "vw_bot", beats(ORIGIN_MS + n * 1000, 2)) for n in range(51)
    ]
    crowd = [Session(f"crowd-{n}", "vod_1", f"vw_{n}", beats(ORIGIN_MS + n, 2)) for n in range(60)]
    keen = [Session(f"keen-{n}", "vod_1", "vw_k", beats(ORIGIN_MS + n, 2)) for n in range(50)]
    nobody = [Session(f"none-{n}", "vod_1", None, beats(ORIGIN_MS + n, 2)) for n in range(60)]
    later = Session("later", "vod_2", "vw_bot", beats(ORIGIN_MS + HOUR_MS, 2))
    found = rules([*burst, *crowd, *keen, *nobody, later])
    assert found == {(s.id, "over_50_sessions_a_minute") for s in burst}


def test_crawlers_and_the_channel_s_owner_are_marked_by_their_rule() -> None:
    made = [
        Session("crawler", "vod_1", None, beats(ORIGIN_MS, 2), "Googlebot"),
        Session("owner", "vod_1", "usr_owner", beats(ORIGIN_MS, 2)),
        Session("person", "vod_1", "vw_1", beats(ORIGIN_MS, 2)),
    ]
    assert rules(made) == {("crawler", "known_crawler"), ("owner", "channel_owner")}


def test_a_bot_s_view_does_not_take_a_person_s_place() -> None:
    made = [
        Session("first", "vod_1", "vw_1", beats(ORIGIN_MS, 3), "Googlebot"),
        Session("second", "vod_1", "vw_1", beats(ORIGIN_MS + 60_000, 3)),
    ]
    (row,) = computed(made)["content_daily"]
    assert (row["views_raw"], row["views"]) == (1, 1)


def test_whoever_has_no_id_is_a_viewer_in_each_session() -> None:
    made = [Session(f"s-{n}", "vod_1", None, beats(ORIGIN_MS + n, 3)) for n in range(3)]
    (row,) = computed(made)["content_daily"]
    assert (row["views"], row["unique_viewers"]) == (3, 0)


def test_a_session_over_midnight_begins_and_is_viewed_on_one_day() -> None:
    before_midnight = ORIGIN_MS + 2 * HOUR_MS - 7_000
    made = [Session("s-1", "vod_1", "vw_1", beats(before_midnight, 5, 5_000))]
    tables = computed(made)
    first, second = tables["sessions"]
    assert (first["is_first"], second["is_first"]) == (True, False)
    assert (first["viewed_at"], second["viewed_at"] is None) == (None, False)
    assert (first["watched_ms"], second["watched_ms"]) == (7_000, 13_000)
    assert [row["views"] for row in tables["content_daily"]] == [0, 1]
    assert [row["sessions"] for row in tables["content_daily"]] == [1, 0]


def test_half_of_a_short_vod_is_a_view() -> None:
    vods = [{"vod_id": "vod_1", "duration_ms": 12_000}, {"vod_id": "vod_2", "duration_ms": 20_000}]
    made = [
        Session(f"{content}-{length}", content, f"vw_{length}", beats(ORIGIN_MS, 2, length))
        for content in ("vod_1", "vod_2")
        for length in (6_000, 6_001, 9_999, 10_000)
    ]
    rows = computed(made, dim_vods=vods)["views"]
    assert {row["session_id"] for row in rows} == {
        *("vod_1-6001", "vod_1-9999", "vod_1-10000", "vod_2-10000")
    }


def total(rows: list[Row], name: str) -> Any:
    return sum(row[name] for row in rows)


def ms(at: datetime) -> int:
    whole = at.replace(tzinfo=UTC).timestamp() * 1000
    return round(whole)
