"""`/api/analytics/…`: answers from builds, cached, with entity tags, and new builds noticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from aethex.lake import Lake
from aethex.library import Library, new_id, segments, streams
from aethex.service import marts
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store, StoreUnreachable, open_store
from tests.postgres_server import PostgresForTests
from tests.service.conftest import Client, serving
from tests.service.content import AT, MadeVod, add_vod
from tests.service.measured import build, land_counts

COUNTS = [(0.0, 100, 1), (60.0, 300, 2), (120.0, None, None), (180.0, 200, 4)]


def measured_stream(settings: Settings, lake: Lake, library: Library) -> MadeVod:
    """A stream of four minutes with two segments, in a build."""
    made = add_vod(library, open_store(settings), stream="AGDQ")
    middle, end = AT + timedelta(seconds=60), AT + timedelta(seconds=240)
    with library.session() as session:
        streams.set_stream_bounds(session, made.stream_id, AT, end)
        segments.replace_segments(
            session,
            made.stream_id,
            [
                segments.NewSegment("Pre-show", AT, middle),
                segments.NewSegment("The run", middle, end, "Celeste"),
            ],
        )
    land_counts(lake, made, COUNTS)
    build(lake, library)
    return made


@pytest.fixture(scope="module")
def kept(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, MadeVod]]:
    """One build for all tests that only read."""
    with postgres.fresh_database() as url:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path_factory.mktemp("kept"),
            database_url=url,
        )
        with Library.open(settings) as library, Lake.open(settings) as lake:
            made = measured_stream(settings, lake, library)
        yield settings, made


@pytest.fixture(scope="module")
def reading(kept: tuple[Settings, MadeVod]) -> Iterator[Client]:
    with serving(create_app(kept[0])) as client:
        yield client


@pytest.fixture
def known(kept: tuple[Settings, MadeVod]) -> MadeVod:
    return kept[1]


@pytest.fixture
def measured(settings: Settings, lake: Lake, library: Library) -> MadeVod:
    """A build of the test's own, for tests that publish the next one."""
    return measured_stream(settings, lake, library)


def test_a_chart_has_exactly_the_promised_shape(reading: Client, known: MadeVod) -> None:
    answer = reading.get("/api/analytics/charts/viewers", params={"stream_id": known.stream_id})
    body = answer.json()
    assert ", ".join(body) == "stream_id, from, to, points, summary, build, fresh_until"
    assert (body["from"], body["to"]) == ("2026-01-05T16:25:00Z", "2026-01-05T16:29:00Z")
    assert body["points"] == [
        {"at": "2026-01-05T16:25:00Z", "viewers": 100, "messages": 1},
        {"at": "2026-01-05T16:26:00Z", "viewers": 300, "messages": 2},
        {"at": "2026-01-05T16:27:00Z", "viewers": None, "messages": None},
        {"at": "2026-01-05T16:28:00Z", "viewers": 200, "messages": 4},
    ]
    # 60 s of 100, 120 s of 300 (the failed poll holds nothing), 60 s of 200
    assert body["summary"] == {
        "peak_viewers": 300,
        "peak_at": "2026-01-05T16:26:00Z",
        "average_viewers": (60 * 100 + 120 * 300 + 60 * 200) / 240,
        "messages": 7,
        "coverage_ratio": 1.0,
    }
    assert body["fresh_until"].endswith("Z")


def test_a_range_is_half_open_and_times_without_zone_are_utc(
    reading: Client, known: MadeVod
) -> None:
    for begin, end in (
        ("2026-01-05T16:26:00", "2026-01-05T16:28:00"),
        ("2026-01-05T16:26:00Z", "2026-01-05T17:28:00+01:00"),
    ):
        body = reading.get(
            "/api/analytics/charts/viewers",
            params={"stream_id": known.stream_id, "from": begin, "to": end},
        ).json()
        assert (body["from"], body["to"]) == ("2026-01-05T16:26:00Z", "2026-01-05T16:28:00Z")
        assert [point["viewers"] for point in body["points"]] == [300, None]


def test_a_plus_that_was_not_escaped_is_understood(reading: Client, known: MadeVod) -> None:
    body = reading.get(
        f"/api/analytics/charts/viewers?stream_id={known.stream_id}&from=2026-01-05T17:26:00+01:00"
    ).json()
    assert body["from"] == "2026-01-05T16:26:00Z"


def test_few_points_keep_the_peak_and_the_exact_summary(reading: Client, known: MadeVod) -> None:
    path = "/api/analytics/charts/viewers"
    whole = reading.get(path, params={"stream_id": known.stream_id}).json()
    few = reading.get(path, params={"stream_id": known.stream_id, "max_points": 2}).json()
    assert len(few["points"]) <= 2
    assert max(point["viewers"] for point in few["points"]) == 300
    assert few["summary"] == whole["summary"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "2026-01-05T16:28:00", "to": "2026-01-05T16:26:00"}, "from"),
        ({"from": "2026-01-05T16:28:00", "to": "2026-01-05T16:28:00"}, "from"),
        ({"from": "2027-01-01T00:00:00"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "to"),
        ({"max_points": "0"}, "max_points"),
        ({"max_points": "many"}, "max_points"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named_with_a_remedy(
    reading: Client, known: MadeVod, params: dict[str, str], field: str
) -> None:
    answer = reading.get(
        "/api/analytics/charts/viewers", params={"stream_id": known.stream_id, **params}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert error["remedy"]


def test_a_stream_has_its_measures_and_segments(reading: Client, known: MadeVod) -> None:
    body = reading.get(f"/api/analytics/streams/{known.stream_id}").json()
    assert (body["title"], body["peak_viewers"], body["samples"], body["null_samples"]) == (
        "AGDQ",
        300,
        4,
        1,
    )
    assert (body["live_seconds"], body["viewer_source"]) == (240.0, "snapshot")
    assert [(s["title"], s["category_name"], s["peak_viewers"]) for s in body["segments"]] == [
        ("Pre-show", None, 100),
        ("The run", "Celeste", 300),
    ]


def test_a_channel_has_its_range_and_days(reading: Client, known: MadeVod) -> None:
    path = f"/api/analytics/channels/{known.channel_id}"
    body = reading.get(path).json()
    assert (body["username"], body["streams"], body["peak_viewers"]) == ("gdq", 1, 300)
    assert [day["day"] for day in body["days"]] == ["2026-01-05"]
    part = reading.get(path, params={"from": "2026-01-05T16:27:00Z"}).json()
    assert (part["peak_viewers"], part["messages"]) == (200, 4)


def test_before_the_first_build_it_says_what_to_do(
    client: Client, library: Library, folder_store: Store
) -> None:
    vod = add_vod(library, folder_store)
    for path in (
        f"streams/{vod.stream_id}",
        f"channels/{vod.channel_id}",
        f"charts/viewers?stream_id={vod.stream_id}",
    ):
        answer = client.get(f"/api/analytics/{path}")
        assert answer.status_code == 503
        assert "aethex pipeline refresh" in answer.json()["detail"]
        assert answer.json()["part"] == "build"


@pytest.mark.usefixtures("measured")
def test_an_unknown_id_is_named_and_a_new_one_is_told_apart(
    client: Client, library: Library, folder_store: Store
) -> None:
    newer = add_vod(library, folder_store, username="newcomer", title="Not in the build")
    for path in ("streams/{}", "channels/{}", "charts/viewers?stream_id={}"):
        known = newer.channel_id if "channels" in path else newer.stream_id
        unknown = new_id("ch" if "channels" in path else "st")
        not_yet = client.get(f"/api/analytics/{path.format(known)}").json()
        assert (not_yet["status"], not_yet["type"]) == (404, "urn:aethex:problem:not-in-build")
        never = client.get(f"/api/analytics/{path.format(unknown)}").json()
        assert (never["status"], never["type"]) == (404, "urn:aethex:problem:not-found")
        assert unknown in never["detail"]
        assert client.get(f"/api/analytics/{path.format('%00')}").status_code == 404


def test_an_answer_is_not_modified_until_the_next_build(
    client: Client,
    lake: Lake,
    library: Library,
    measured: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(marts, "POLL_SECONDS", 0.0)  # every request looks
    path = f"/api/analytics/streams/{measured.stream_id}"
    first = client.get(path)
    tag = {"If-None-Match": first.headers["etag"]}
    again = client.get(path, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    land_counts(lake, measured, [(210.0, 999, 1)])
    made = build(lake, library)
    after = client.get(path, headers=tag)
    assert (after.status_code, after.json()["peak_viewers"]) == (200, 999)
    assert after.json()["build"] == made.id != first.json()["build"]


def test_a_new_build_is_looked_for_once_a_second_at_most(
    lake: Lake, library: Library, folder_store: Store, measured: MadeVod
) -> None:
    now = 100.0
    reader = marts.Marts(lake.settings, folder_store, clock=lambda: now)
    first = reader.current().build.id
    land_counts(lake, measured, [(210.0, 999, 1)])
    second = build(lake, library).id
    assert reader.current().build.id == first
    now += marts.POLL_SECONDS
    assert reader.current().build.id == second


def test_a_request_keeps_the_build_that_it_began_with(
    lake: Lake, library: Library, folder_store: Store, measured: MadeVod
) -> None:
    now = 100.0
    reader = marts.Marts(lake.settings, folder_store, clock=lambda: now)
    kept = reader.current()
    land_counts(lake, measured, [(210.0, 999, 1)])
    build(lake, library)
    now += marts.POLL_SECONDS
    assert reader.current().build.id != kept.build.id
    peak = "SELECT max(peak_viewers) FROM stream_analytics"
    assert kept.connection.cursor().execute(peak).fetchall() == [(300,)]
    assert reader.current().connection.cursor().execute(peak).fetchall() == [(999,)]


@pytest.mark.usefixtures("measured")
def test_with_a_build_open_a_store_that_is_away_does_no_harm(
    lake: Lake, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    reader = marts.Marts(lake.settings, folder_store, clock=lambda: now)
    first = reader.current()

    def away(_key: str) -> None:
        raise StoreUnreachable("away")

    monkeypatch.setattr(folder_store, "head", away)
    now += marts.POLL_SECONDS
    assert reader.current() is first
    with pytest.raises(StoreUnreachable):
        marts.Marts(lake.settings, folder_store).current()


def test_while_one_request_opens_a_new_build_the_others_go_on_with_the_old_one(
    lake: Lake,
    library: Library,
    folder_store: Store,
    measured: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    reader = marts.Marts(lake.settings, folder_store, clock=lambda: now)
    old = reader.current()
    land_counts(lake, measured, [(210.0, 999, 1)])
    new = build(lake, library)
    opening, go_on = threading.Event(), threading.Event()
    really_open = marts.open_build

    def slowly(*arguments):
        opening.set()
        assert go_on.wait(timeout=60)
        return really_open(*arguments)

    monkeypatch.setattr(marts, "open_build", slowly)
    now += marts.POLL_SECONDS
    with ThreadPoolExecutor() as pool:
        first = pool.submit(reader.current)
        assert opening.wait(timeout=60)
        assert reader.current() is old
        go_on.set()
        assert first.result(timeout=60).build.id == new.id


def test_many_requests_at_once_get_the_same_answer(reading: Client, known: MadeVod) -> None:
    path = "/api/analytics/charts/viewers"
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda n: reading.get(
                    path, params={"stream_id": known.stream_id, "max_points": 10 + n % 4}
                ),
                range(64),
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.usefixtures("measured")
def test_the_cache_of_answers_is_bounded(
    lake: Lake, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = marts.Marts(lake.settings, folder_store).current()
    monkeypatch.setattr(marts, "_CACHED_BYTES", 1_000)
    asked: list[int] = []

    def answer(n: int) -> bytes:
        def question(_con: object) -> bytes:
            asked.append(n)
            return b"x" * 400

        return opened.answer(n, question)

    for n in (1, 2, 1, 3, 1, 2):
        answer(n)
    assert asked == [1, 2, 3, 2]


def test_an_empty_range_of_a_channel_is_named_too(reading: Client, known: MadeVod) -> None:
    answer = reading.get(
        f"/api/analytics/channels/{known.channel_id}",
        params={"from": "2026-01-05T16:28:00", "to": "2026-01-05T16:28:00Z"},
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "from")
    assert "It is not before to." in answer.text
