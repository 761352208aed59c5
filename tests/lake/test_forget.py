"""Forgetting: the id is nowhere any more, and nothing else has changed, wherever it is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any, cast

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from aethex.lake import Lake
from aethex.lake.build_records import current_build, list_builds
from aethex.lake.connections import connect
from aethex.lake.due import due
from aethex.lake.forget import tables_with_viewers
from aethex.lake.forget_measures import measure
from aethex.lake.forget_search import Unsearchable, search
from aethex.lake.landing import land, to_parquet
from aethex.lake.landing_cleanup import clean_landing
from aethex.lake.maintenance import all_tables
from aethex.lake.models import load_models
from aethex.lake.publish import publish, republish
from aethex.lake.reconciliation import count_window
from aethex.lake.refresh import refresh
from aethex.lake.runner import run_model
from aethex.lake.viewer_swap import ID_COLUMNS, OTHER_ID_COLUMNS, OWN_WORDS, Swap
from aethex.lake.windows import published_windows
from aethex.library import Library
from aethex.settings import Settings
from tests.lake.forgetting import (
    DAYS,
    GONE,
    SHORT,
    STAYS,
    Platform,
    build_platform,
    day_of_events,
    landed,
    platform_again,
    saved_platform,
)
from tests.lake.keeper import FAR
from tests.lake.marts import NOON
from tests.postgres_server import PostgresForTests
from tests.saved import Saved

WITH_VIEWERS = {
    "playback_events": "viewer_id",
    "chat_messages": "viewer_id",
    "follow_events": "viewer_id",
    "engagement_events": "viewer_id",
    "sessions": "viewer_id",
    "views": "viewer_id",
    "dim_channel_owners": "owner_id",
}


@pytest.fixture(scope="module")
def built(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved[None]]:
    with saved_platform(postgres, tmp_path_factory.mktemp("built")) as state:
        yield state


@pytest.fixture(scope="module")
def built_small(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved[None]]:
    with saved_platform(postgres, tmp_path_factory.mktemp("small"), days=1) as state:
        yield state


@pytest.fixture
def platform(built: Saved[None]) -> Iterator[Platform]:
    with platform_again(built) as platform:
        yield platform


@pytest.fixture
def small(built_small: Saved[None]) -> Iterator[Platform]:
    """One day of it."""
    with platform_again(built_small) as platform:
        yield platform


def files_with(platform: Platform, viewer_id: str) -> list[str]:
    """Keys of objects in which a plain look finds the id: not the search that is tested."""
    found: list[str] = []
    for info in platform.lake.store.list():
        data = platform.lake.store.get(info.key)
        if info.key.endswith(".parquet"):
            rows = pq.read_table(BytesIO(data)).to_pylist()
            data += json.dumps(rows, default=str).encode()
        if viewer_id.encode() in data:
            found.append(info.key)
    return found


def quarantined(platform: Platform) -> list[dict[str, Any]]:
    """The rows of the one object in quarantine."""
    (info,) = platform.lake.store.list("quarantine")
    return pq.read_table(BytesIO(platform.lake.store.get(info.key))).to_pylist()


def manifests_with(platform: Platform, text: str) -> list[str]:
    """Keys of manifests that say something with that text, such as a bound of a column."""
    found: list[str] = []
    for info in platform.lake.store.list("lake/tables"):
        if info.key.endswith(".avro"):
            data = PyArrowFileIO().new_input(platform.lake.store.uri(info.key))
            with cast("Any", AvroFile)(data) as records:
                found += [info.key for record in records if text in repr(record)]
    return found


def marts(platform: Platform) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all mart tables."""
    return {name: platform.rows(name) for name in load_models().tables}


def test_the_id_is_nowhere_and_one_new_one_is_in_its_place(platform: Platform) -> None:
    before = {t: platform.viewers(t, column) for t, column in WITH_VIEWERS.items()}
    assert all(GONE in viewers for viewers in before.values())
    assert len(files_with(platform, GONE)) > 20
    report = platform.forget()
    assert files_with(platform, GONE) == []
    after = {t: platform.viewers(t, column) for t, column in WITH_VIEWERS.items()}
    (new,) = after["dim_channel_owners"]
    assert new.startswith("usr_")
    assert len(new) == len(GONE)
    assert after == {t: (viewers - {GONE}) | {new} for t, viewers in before.items()}
    assert report.is_found
    assert report.rows["chat_messages"] == 2 * DAYS
    assert report.refused_events == 2
    assert report.numbers["watched_ms_raw"] > report.numbers["watched_ms_filtered"] > 0


def test_rows_of_others_and_all_columns_but_the_id_are_untouched(platform: Platform) -> None:
    names = {name: [*table.column_names] for name, table in tables_with_viewers().items()}
    kept = {
        t: " ".join(c for c in n if c not in (*ID_COLUMNS, *OWN_WORDS)) for t, n in names.items()
    }
    before = {t: platform.rows(t, columns) for t, columns in kept.items()}
    others = [row for row in platform.rows("playback_events") if GONE not in row]
    platform.forget()
    assert {t: platform.rows(t, columns) for t, columns in kept.items()} == before
    assert set(others) <= set(platform.rows("playback_events"))


def test_all_numbers_stay_also_when_they_are_computed_anew(platform: Platform) -> None:
    lake = platform.lake
    build, rows = current_build(lake.store), marts(platform)
    assert build is not None
    platform.forget()
    assert due(lake).days == ()  # nothing has to be computed because of it
    days = [NOON.date() + timedelta(days=n) for n in range(DAYS)]
    for model in load_models():
        with_ids = "viewer_id" in model.table.column_names
        hours = model.hourly and platform.rows(model.name, model.hourly.column)
        for span in days if hours is None else sorted({row[0] for row in hours}):
            assert not run_model(lake, model, span).is_changed, (model.name, span)
        if not with_ids:
            assert platform.rows(model.name) == rows[model.name]
    after = current_build(lake.store)
    assert after is not None
    assert (after.id, after.tables) == (build.id, build.tables)


def test_what_has_landed_and_is_not_published_counts_as_it_would_have(platform: Platform) -> None:
    platform.forget()
    (marker,) = publish(platform.lake)
    assert marker.rows_out == len(day_of_events(DAYS))
    refresh(platform.lake)
    (new,) = platform.viewers("dim_channel_owners", "owner_id")
    assert platform.viewers("playback_events") == {new, STAYS, SHORT}
    assert files_with(platform, GONE) == []


def test_a_late_copy_of_an_event_counts_no_more_and_can_be_forgotten_too(
    platform: Platform,
) -> None:
    platform.forget()
    publish(platform.lake)
    rows = platform.rows("playback_events")
    key = land(platform.lake, landed(day_of_events(0)))
    (marker,) = publish(platform.lake)
    assert marker.rows_out == 0
    assert platform.rows("playback_events") == rows
    assert files_with(platform, GONE) == [key]
    assert platform.forget().landed_events > 0
    assert files_with(platform, GONE) == []


def test_windows_add_up_and_are_published_again_as_before(platform: Platform) -> None:
    lake = platform.lake
    platform.forget()
    rows = platform.rows("playback_events")
    assert all(count_window(lake, marker).adds_up for marker in published_windows(lake))
    republish(lake, 1)
    assert platform.rows("playback_events") == rows
    assert len(clean_landing(lake, FAR).windows) == DAYS
    assert files_with(platform, GONE) == []


def test_past_states_are_gone_and_builds_are_not(platform: Platform) -> None:
    lake = platform.lake
    past = {
        name: [s.snapshot_id for s in lake.table(table).metadata.snapshots]
        for name, table in tables_with_viewers().items()
    }
    old_files = [info.key for info in lake.store.list("lake/tables/chat_messages/data")]
    builds = list_builds(lake.store)
    assert len(builds) == DAYS - 1
    bound = GONE[:16]  # as much of a value as Iceberg keeps as a bound
    assert manifests_with(platform, bound)
    report = platform.forget()
    assert manifests_with(platform, bound) == []
    for name in WITH_VIEWERS:
        opened = lake.table(all_tables()[name])
        assert not any(opened.snapshot_by_id(one) for one in past[name])
        assert len(opened.metadata.snapshots) == 1
    assert not any(lake.store.exists(key) for key in old_files)
    assert report.files_deleted > len(old_files)
    assert list_builds(lake.store) == builds
    for build_id in builds:
        con = connect(platform.settings, build_id)
        assert con.execute("SELECT count(*) FROM stream_audience").fetchone() == (1,)
        con.close()


def test_words_of_their_own_are_emptied_and_no_others(small: Platform) -> None:
    small.forget()
    words = {row[0] for row in small.rows("playback_events", "error")}
    assert words == {None, f"{STAYS}'s own words", f"{SHORT}'s own words"}
    refused = quarantined(small)
    assert [row["event"] for row in refused[:2]] == ["{}", "{}"]
    assert json.loads(refused[2]["event"]) == {"viewer_id": STAYS, "characters": 42}


def test_an_unknown_id_and_a_second_run_find_nothing(small: Platform) -> None:
    before = [(info.key, info.etag) for info in small.lake.store.list()]
    assert not small.forget("vw_01K9Z3ABCDEFGHJKMNPQRSTVW0").is_found
    assert [(info.key, info.etag) for info in small.lake.store.list()] == before
    assert small.forget().is_found
    assert not small.forget().is_found


def test_a_short_id_is_found_as_a_value_and_numbers_are_not(small: Platform) -> None:
    small.forget(SHORT)
    assert SHORT not in small.viewers("playback_events") | small.viewers("sessions")
    assert len(small.viewers("playback_events")) == 3
    rows = quarantined(small)
    assert [row["event"] for row in rows][3] == "{}"
    assert json.loads(rows[2]["event"])["characters"] == 42
    assert not small.forget(SHORT).is_found


def test_files_that_nothing_names_go_when_they_hold_the_id_or_nobody_can_say(
    small: Platform,
) -> None:
    store = small.lake.store
    key = next(info.key for info in store.list("lake/tables/views/data"))
    data = store.get(key)
    others = pq.read_table(BytesIO(data)).filter(pc.field("viewer_id") != GONE)
    with_id, half, innocent = (key.replace(".parquet", f"-{n}.parquet") for n in range(3))
    store.put(with_id, data)
    store.put(half, data[: len(data) // 2])
    store.put(innocent, to_parquet(others))
    half_manifest = "lake/tables/views/metadata/half.avro"
    store.put(half_manifest, b"Obj\x01")
    small.forget()
    assert [store.exists(one) for one in (with_id, half, half_manifest)] == [False] * 3
    assert store.exists(innocent)  # a writer may be about to name it
    assert files_with(small, GONE) == []


def test_a_landed_object_that_cannot_be_read_is_named_and_nothing_changes(
    small: Platform,
) -> None:
    small.lake.store.put("landing/2024/05/01/12/broken.parquet", b"PAR1")
    with pytest.raises(Unsearchable, match=r"landing/2024/05/01/12/broken.parquet cannot be read"):
        small.forget()
    assert GONE in small.viewers("playback_events")


def test_every_column_of_ids_was_decided_about() -> None:
    ids = {c for t in all_tables().values() for c in t.column_names if c.endswith("_id")}
    assert ids <= {*ID_COLUMNS, *OTHER_ID_COLUMNS}
    published = [t for n, t in all_tables().items() if n not in tables_with_viewers()]
    assert not any(set(ID_COLUMNS) & set(table.column_names) for table in published)


def test_the_measures_see_a_lost_row_and_a_changed_value(platform: Platform) -> None:
    swap = Swap(GONE, "usr_new")
    before = measure(platform.lake, swap)
    assert before.differences(measure(platform.lake, swap)) == []
    platform.lake.table(all_tables()["chat_messages"]).delete("characters == 1")
    told = before.differences(measure(platform.lake, swap))
    assert any(line.startswith("chat_messages rows: 18 before, 9 after") for line in told)
    platform.lake.table(all_tables()["views"]).delete("is_raw == true")
    told = before.differences(measure(platform.lake, swap))
    assert any(line.startswith("numbers views_raw") for line in told)


def test_the_search_says_where(small: Platform) -> None:
    found = search(small.lake, Swap(GONE, GONE))
    assert set(found.rows) == {*files_with(small, GONE), *found.below("quarantine/")}
    assert found.media == 1


@pytest.mark.r2
@pytest.mark.soak
def test_forgetting_on_r2(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake, Library.open(r2_settings) as library:
        platform = build_platform(lake, library, days=1)
        assert files_with(platform, GONE)
        assert platform.forget().is_found
        assert files_with(platform, GONE) == []
        assert len(platform.viewers("playback_events")) == 3
        assert not platform.forget().is_found
