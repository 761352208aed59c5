import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aethex.lake import Lake
from aethex.lake.dim_tables import DIM_STREAMS
from aethex.lake.dims import snapshot_dim
from tests.lake.marts import NOON, NOW, days

LATER = NOW + timedelta(hours=1)


def stream(stream_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "stream_id": stream_id,
        "channel_id": "ch_1",
        "title": "A stream",
        "category_id": None,
        "status": "ended",
        "started_at": NOON,
        "ended_at": NOON + timedelta(hours=1),
        "stream_day": NOON.date(),
    }
    return {**row, **changes}


def versions(lake: Lake) -> list[tuple[str, str, datetime, datetime | None]]:
    rows = lake.table(DIM_STREAMS).scan().to_arrow().to_pylist()
    found = [(r["stream_id"], r["title"], r["valid_from"], r["valid_to"]) for r in rows]
    return sorted(found, key=str)


def test_the_first_snapshot_opens_a_version_of_every_row(lake: Lake) -> None:
    change = snapshot_dim(lake, DIM_STREAMS, [stream("st_1"), stream("st_2")], NOW)
    assert (change.added, change.changed, change.closed) == (2, 0, 0)
    assert change.stream_days == days("2024-05-01")
    assert versions(lake) == [("st_1", "A stream", NOW, None), ("st_2", "A stream", NOW, None)]


def test_an_unchanged_snapshot_commits_nothing(lake: Lake) -> None:
    rows = [stream("st_1")]
    snapshot_dim(lake, DIM_STREAMS, rows, NOW)
    before = lake.table(DIM_STREAMS).current_snapshot()
    aware = [{**rows[0], "started_at": NOON.replace(tzinfo=UTC), "more": "is left out"}]
    assert snapshot_dim(lake, DIM_STREAMS, aware, LATER).is_empty
    assert lake.table(DIM_STREAMS).current_snapshot() == before


def test_a_changed_row_closes_its_version_and_opens_the_next(lake: Lake) -> None:
    snapshot_dim(lake, DIM_STREAMS, [stream("st_1"), stream("st_2")], NOW)
    moved = stream(
        "st_1", title="Moved", started_at=NOON + timedelta(days=1),
        ended_at=NOON + timedelta(days=2), stream_day=(NOON + timedelta(days=1)).date(),
    )  # fmt: skip
    change = snapshot_dim(lake, DIM_STREAMS, [moved, stream("st_2")], LATER)
    assert (change.added, change.changed, change.closed) == (0, 1, 0)
    assert change.stream_days == days("2024-05-01", "2024-05-02")
    assert versions(lake) == [
        ("st_1", "A stream", NOW, LATER),
        ("st_1", "Moved", LATER, None),
        ("st_2", "A stream", NOW, None),
    ]


def test_a_row_that_is_gone_closes_and_may_come_back(lake: Lake) -> None:
    snapshot_dim(lake, DIM_STREAMS, [stream("st_1")], NOW)
    assert snapshot_dim(lake, DIM_STREAMS, [], LATER).closed == 1
    assert versions(lake) == [("st_1", "A stream", NOW, LATER)]
    again = LATER + timedelta(hours=1)
    assert snapshot_dim(lake, DIM_STREAMS, [stream("st_1")], again).added == 1
    assert versions(lake) == [("st_1", "A stream", NOW, LATER), ("st_1", "A stream", again, None)]


def test_a_version_never_ends_before_it_began_even_when_clocks_go_back(lake: Lake) -> None:
    snapshot_dim(lake, DIM_STREAMS, [stream("st_1")], LATER)
    snapshot_dim(lake, DIM_STREAMS, [stream("st_1", title="New")], NOW)
    assert versions(lake) == [("st_1", "New", LATER, None)]


def test_rows_that_lack_a_column_or_repeat_a_key_are_refused(lake: Lake) -> None:
    row = {name: value for name, value in stream("st_1").items() if name != "title"}
    with pytest.raises(ValueError, match="lacks title"):
        snapshot_dim(lake, DIM_STREAMS, [row], NOW)
    with pytest.raises(ValueError, match="1 rows have a stream_id that another has"):
        snapshot_dim(lake, DIM_STREAMS, [stream("st_1"), stream("st_1")], NOW)


def test_snapshots_at_once_leave_one_current_version(lake: Lake) -> None:
    snapshot_dim(lake, DIM_STREAMS, [stream("st_1")], NOW)
    start = threading.Barrier(3)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Lake.open(lake.settings) as own:
                start.wait()
                snapshot_dim(own, DIM_STREAMS, [stream("st_1", title="New")], LATER)
        except BaseException as error:  # the test reports it
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert versions(lake) == [("st_1", "A stream", NOW, LATER), ("st_1", "New", LATER, None)]
