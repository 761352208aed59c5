"""Metadata files that are read from the store once."""

from __future__ import annotations

from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.file_io import _Remembered
from aethex.lake.landing import land
from aethex.lake.publish import publish
from tests.lake.events import published_minutes, snapshots


def test_a_table_is_opened_again_without_reading_its_metadata_file_again(lake: Lake) -> None:
    location = lake.table(VIEWER_SNAPSHOTS).metadata_location
    lake.table(VIEWER_SNAPSHOTS)
    key = lake.key(location)
    assert key is not None
    lake.store.delete([key])
    with Lake.open(lake.settings) as other:
        assert other.table(VIEWER_SNAPSHOTS).metadata_location == location


def test_what_others_commit_is_seen_at_once(lake: Lake) -> None:
    with Lake.open(lake.settings) as other:
        for n in range(3):
            land(other, snapshots([n]))
            publish(other)
            assert published_minutes(lake) == list(range(n + 1))


def test_no_more_is_remembered_than_fits_and_what_was_used_last_stays() -> None:
    files = _Remembered(max_bytes=10)
    files.put("a", b"1234")
    files.put("b", b"1234")
    assert files.get("a") == b"1234"
    files.put("c", b"1234")
    assert [files.get(name) for name in "abc"] == [b"1234", None, b"1234"]
    files.put("too large", b"x" * 11)
    assert [files.get(name) for name in ("a", "c", "too large")] == [None] * 3
