"""Whose content is: remembered within bounds, and asked again where it was missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import event

from aethex.library import Channel, Library, Stream, channels, new_id
from aethex.service.ingest import directory as module
from aethex.service.ingest.directory import MISSING_SECONDS, Directory


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def directory(library: Library, time: Time) -> Directory:
    return Directory(library, time)


@pytest.fixture
def channel(library: Library) -> Channel:
    with library.session() as s:
        return channels.ensure_channel(s, "gdq")


@pytest.fixture
def queries(library: Library) -> list[str]:
    """What the library's database was asked, as it goes on."""
    asked: list[str] = []
    event.listen(
        library.engine, "before_cursor_execute", lambda _c, _cur, sql, *_: asked.append(sql)
    )
    return asked


def add_streams(library: Library, channel: Channel, count: int) -> list[str]:
    ids = [new_id("st") for _ in range(count)]
    with library.session() as s:
        s.add_all(
            Stream(id=one, channel_id=channel.id, title="A stream", status="scheduled")
            for one in ids
        )
    return ids


def test_what_was_asked_for_once_is_known(
    directory: Directory, library: Library, channel: Channel
) -> None:
    (stream,) = add_streams(library, channel, 1)
    assert directory.channel_of(stream) is None
    assert directory.unknown([stream, channel.id]) == {stream, channel.id}
    directory.look_up({stream, channel.id})
    assert directory.unknown([stream, channel.id]) == set()
    assert directory.channel_of(stream) == directory.channel_of(channel.id) == channel.id


def test_what_is_missing_is_asked_for_again_after_a_while(
    directory: Directory, library: Library, channel: Channel, time: Time
) -> None:
    later = new_id("st")
    directory.look_up({later})
    assert directory.unknown([later]) == set()
    with library.session() as s:
        s.add(Stream(id=later, channel_id=channel.id, title="A stream", status="scheduled"))
    time.now += MISSING_SECONDS - 0.1
    assert directory.unknown([later]) == set()
    assert directory.channel_of(later) is None
    time.now += 0.1
    assert directory.unknown([later]) == {later}
    directory.look_up({later})
    assert directory.channel_of(later) == channel.id
    assert directory.unknown([later]) == set()


def test_what_cannot_be_an_id_is_never_asked_for(directory: Directory, queries: list[str]) -> None:
    impossible = {"", "x", "st_", "st_1", "vod_\0", "st_'; drop table vods", "st_" + "o" * 26}
    directory.look_up(impossible)
    assert queries == []
    assert directory.unknown(impossible) == set()


def test_of_what_is_known_the_longest_unused_is_forgotten(
    directory: Directory, library: Library, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN_AT_MOST", 3)
    first, second, third, fourth = add_streams(library, channel, 4)
    directory.look_up({first})
    directory.look_up({second})
    directory.look_up({third})
    assert directory.unknown([first]) == set()  # used just now
    directory.look_up({fourth})
    assert directory.unknown([first, third, fourth]) == set()
    assert directory.unknown([second]) == {second}


def test_a_batch_is_not_forgotten_while_others_are_looked_up(
    directory: Directory, library: Library, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between `unknown` and judging, other requests look theirs up: a good event of a stream that
    was pushed out would go to quarantine."""
    monkeypatch.setattr(module, "KNOWN_AT_MOST", 10)
    mine, *others = add_streams(library, channel, 30)
    directory.look_up({mine})
    for start in range(0, 27, 9):
        assert directory.unknown([mine]) == set()
        directory.look_up(set(others[start : start + 9]))
        assert directory.channel_of(mine) == channel.id


def test_what_is_missing_has_its_bound_too(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MISSING_AT_MOST", 5)
    made_up = [f"made up {n}" for n in range(100)]
    for one in made_up:
        directory.look_up({one})
    assert directory.unknown(made_up) == set(made_up[:-5])


def test_many_threads_at_once_find_the_same_and_keep_the_bounds(
    directory: Directory, library: Library, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN_AT_MOST", 20)
    monkeypatch.setattr(module, "_MISSING_AT_MOST", 20)
    streams = add_streams(library, channel, 40)
    at_once = Barrier(4)

    def work(number: int) -> None:
        at_once.wait()
        for turn in range(30):
            mine = {streams[(number * 7 + turn * 3 + n) % 40] for n in range(5)}
            mine |= {f"made up {number} {turn}"}
            directory.look_up(directory.unknown(mine))
            for one in mine:
                assert directory.channel_of(one) in (None, channel.id)
            assert len(directory._known) <= 20
            assert len(directory._missing) <= 20

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, number) for number in range(4)]:
            done.result()
