"""One contract for both stores: whatever holds on a folder holds on R2's local server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from aethex.store import (
    AlreadyExists,
    Conflict,
    NotFound,
    RangeNotSatisfiable,
    Store,
    StoreError,
)
from tests.r2 import R2Server

RACERS = 8


@pytest.fixture(params=["folder", pytest.param("r2", marks=pytest.mark.r2)])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the test's store, each time anew."""
    if request.param == "folder":
        return lambda: Store.open((tmp_path / "store").as_uri())
    server: R2Server = request.getfixturevalue("r2")
    url = f"{server.url}/{uuid4().hex}"
    return lambda: open_on(server, url)


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Store:
    return reopen()


def open_on(server: R2Server, url: str) -> Store:
    return Store.open(
        url,
        endpoint=server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
    )


def race(action: Callable[[int], object]) -> list[object]:
    """What RACERS threads got from `action` at once: a result or the StoreError."""

    def attempt(number: int) -> object:
        try:
            return action(number)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(attempt, range(RACERS)))


def test_an_object_reads_back_as_it_was_written(store: Store) -> None:
    written = store.put("a/b/c.txt", b"hello", content_type="text/plain")
    content, info = store.get_with_info("a/b/c.txt")
    assert content == b"hello" == store.get("a/b/c.txt")
    assert (info.key, info.size_bytes, info.etag) == ("a/b/c.txt", 5, written.etag)
    assert store.head("a/b/c.txt").etag == info.etag
    assert info.modified_at.tzinfo is not None


def test_an_empty_object_is_an_object(store: Store) -> None:
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert list(store.stream("empty")) == []
    assert store.head("empty").size_bytes == 0


def test_put_writes_over_what_is_there(store: Store) -> None:
    first = store.put("a", b"one")
    second = store.put("a", b"two")
    assert store.get("a") == b"two"
    assert first.etag != second.etag == store.head("a").etag


def test_a_stream_of_chunks_becomes_one_object(store: Store) -> None:
    chunk = os.urandom(3 * 1024 * 1024 + 7)
    store.put("a", b"before")
    info = store.put_stream("a", (chunk for _ in range(6)), 6 * len(chunk))
    assert info.size_bytes == 6 * len(chunk) == store.head("a").size_bytes
    assert store.get("a") == 6 * chunk
    assert info.etag == store.head("a").etag


def test_a_stream_that_fails_or_ends_early_leaves_what_was_there(store: Store) -> None:
    def failing() -> Iterator[bytes]:
        yield bytes(9 * 1024 * 1024)
        raise NotFound("gone")

    store.put("a", b"before")
    with pytest.raises(NotFound, match="gone"):
        store.put_stream("a", failing(), 20 * 1024 * 1024)
    with pytest.raises(ValueError, match="3 bytes came instead of 4"):
        store.put_stream("a", iter([b"abc"]), 4)
    assert store.get("a") == b"before"


def test_a_missing_object_is_not_found(store: Store) -> None:
    store.put("folder/object", b"x")
    for key in ("missing", "folder", "folder/object/below"):
        with pytest.raises(NotFound, match=key):
            store.get(key)
        with pytest.raises(NotFound):
            store.head(key)
        with pytest.raises(NotFound):
            store.get_range(key, 0, 1)
        with pytest.raises(NotFound):
            store.stream(key)
        assert not store.exists(key)
    assert store.exists("folder/object")


def test_create_refuses_what_exists(store: Store) -> None:
    created = store.create("a", b"one")
    with pytest.raises(AlreadyExists, match="a exists"):
        store.create("a", b"one")
    assert store.get_with_info("a") == (b"one", store.head("a"))
    assert store.head("a").etag == created.etag


def test_replace_wants_the_version_that_was_read(store: Store) -> None:
    first = store.put("a", b"one")
    second = store.replace("a", b"two", if_match=first.etag)
    with pytest.raises(Conflict, match="a has changed"):
        store.replace("a", b"three", if_match=first.etag)
    assert store.get("a") == b"two"
    store.replace("a", b"three", if_match=second.etag)
    assert store.get("a") == b"three"


def test_replace_of_a_missing_object_is_a_conflict(store: Store) -> None:
    etag = store.put("a", b"one").etag
    store.delete(["a"])
    with pytest.raises(Conflict):
        store.replace("a", b"two", if_match=etag)
    assert not store.exists("a")


def test_of_racing_creators_exactly_one_wins(store: Store) -> None:
    for round_ in range(5):
        results = race(lambda number, key=f"race/{round_}": store.create(key, b"%d" % number))
        winners = [n for n, result in enumerate(results) if not isinstance(result, StoreError)]
        losers = [result for result in results if isinstance(result, AlreadyExists)]
        assert (len(winners), len(losers)) == (1, RACERS - 1)
        assert store.get(f"race/{round_}") == b"%d" % winners[0]


def test_of_racing_creators_with_equal_content_exactly_one_wins(store: Store) -> None:
    results = race(lambda _: store.create("race", b"the same"))
    assert sum(isinstance(result, AlreadyExists) for result in results) == RACERS - 1


def test_of_racing_replacers_exactly_one_wins(store: Store) -> None:
    etag = store.put("race", b"start").etag
    for round_ in range(5):
        contents = [b"%d in %d" % (number, round_) for number in range(RACERS)]
        results = race(lambda n, e=etag, c=contents: store.replace("race", c[n], if_match=e))
        winners = [n for n, result in enumerate(results) if not isinstance(result, StoreError)]
        assert len(winners) == 1
        assert sum(isinstance(result, Conflict) for result in results) == RACERS - 1
        content, info = store.get_with_info("race")
        assert content == contents[winners[0]]
        etag = info.etag


def test_a_counter_loses_no_increment(store: Store) -> None:
    store.put("counter", b"0")

    def increment(_: int) -> None:
        while True:
            content, info = store.get_with_info("counter")
            try:
                store.replace("counter", b"%d" % (int(content) + 1), if_match=info.etag)
                return
            except Conflict:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, range(20)))
    assert store.get("counter") == b"20"


def test_ranges_are_half_open_and_end_with_the_object(store: Store) -> None:
    store.put("a", b"0123456789")
    assert store.get_range("a", 0, 1) == b"0"
    assert store.get_range("a", 2, 5) == b"234"
    assert store.get_range("a", 8, 100) == b"89"
    with pytest.raises(RangeNotSatisfiable):
        store.get_range("a", 10, 12)
    with pytest.raises(ValueError):
        store.get_range("a", 5, 5)


def test_streams_give_the_bytes_in_chunks(store: Store) -> None:
    content = os.urandom(300_000)
    store.put("a", content)
    chunks = list(store.stream("a", chunk_bytes=50_000))
    assert b"".join(chunks) == content
    assert len(chunks) > 1
    assert b"".join(store.stream("a", start=1000)) == content[1000:]
    assert b"".join(store.stream("a", start=1000, end=2000)) == content[1000:2000]


def test_the_asynchronous_reads_answer_as_the_others(store: Store) -> None:
    content = os.urandom(100_000)
    info = store.put("a", content)

    async def read() -> None:
        assert await store.aget("a") == content
        assert (await store.ahead("a")).etag == info.etag
        parts = [part async for part in store.astream("a", start=10, end=90_000, chunk_bytes=4096)]
        assert b"".join(parts) == content[10:90_000]
        with pytest.raises(NotFound):
            await store.aget("missing")
        with pytest.raises(NotFound):
            _ = [part async for part in store.astream("missing")]
        with pytest.raises(NotFound):
            await store.ahead("missing")

    asyncio.run(read())


def test_a_list_is_sorted_by_key_and_takes_folders_only(store: Store) -> None:
    keys = ["a-b/x", "a.txt", "a/b", "a/b.c", "a/c/d", "b/z", "b/ä"]
    for key in reversed(keys):
        store.put(key, key.encode())
    assert [info.key for info in store.list()] == keys
    assert [info.key for info in store.list("a")] == ["a/b", "a/b.c", "a/c/d"]
    assert [info.key for info in store.list("a/")] == ["a/b", "a/b.c", "a/c/d"]
    assert [info.key for info in store.list("b")] == ["b/z", "b/ä"]
    assert list(store.list("nothing")) == []
    assert [info.size_bytes for info in store.list("a/c")] == [5]


def test_a_list_starts_after_any_key(store: Store) -> None:
    keys = sorted(["a/1", "a/2/x", "a/2/y", "a/3", "b/1", "b.c"])
    for key in keys:
        store.put(key, b"")
    for start_after in [*keys, "a", "a/2", "a/2/", "a/2/xx", "b", "z"]:
        expected = [key for key in keys if key > start_after]
        assert [info.key for info in store.list(start_after=start_after)] == expected
    assert [i.key for i in store.list("a", start_after="a/2/x")] == ["a/2/y", "a/3"]


def test_a_list_goes_over_many_pages(store: Store) -> None:
    keys = [f"many/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))
    assert [info.key for info in store.list("many")] == keys
    assert store.delete(keys) == 1100
    assert list(store.list("many")) == []


def test_delete_minds_no_missing_objects(store: Store) -> None:
    store.put("a/b", b"x")
    assert store.delete(["a/b", "a/c", "never/was"]) == 3
    assert store.delete(["a/b"]) == 1
    assert store.delete([]) == 0
    assert list(store.list()) == []


@pytest.mark.parametrize("size_bytes", [1, 5 * 2**20, 21 * 2**20 + 3])
def test_a_file_goes_up_and_comes_down_whole(store: Store, tmp_path: Path, size_bytes: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size_bytes))
    info = store.put("big", source, content_type="video/mp4")
    assert info.size_bytes == size_bytes == store.head("big").size_bytes
    assert info.etag == store.head("big").etag
    store.download("big", tmp_path / "new folder" / "copy")
    assert (tmp_path / "new folder" / "copy").read_bytes() == source.read_bytes()
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["copy"]


def test_conditional_writes_take_files_too(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    info = store.create("a", source)
    source.write_bytes(b"changed")
    store.replace("a", source, if_match=info.etag)
    assert store.get("a") == b"changed"


def test_keys_with_spaces_and_letters_of_all_kinds_work(store: Store) -> None:
    for key in ("with space/ü.txt", "a%20b+c/d=e&f", "日本/🎥", "~x/(y)'z\""):
        store.put(key, key.encode())
        assert store.get(key) == key.encode()
        assert [info.key for info in store.list(key.split("/")[0])] == [key]


@pytest.mark.parametrize(
    "key",
    [
        *("", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b"),
        *("a\0b", "a\nb", "a\\b", "a#1", ".aethex-store/tmp/x", "a" * 256, "a/" * 500 + "a"),
    ],
)
def test_keys_that_are_none_are_refused(store: Store, key: str) -> None:
    actions: list[Callable[[], object]] = [
        lambda: store.put(key, b""),
        lambda: store.create(key, b""),
        lambda: store.replace(key, b"", if_match="x"),
        lambda: store.get(key),
        lambda: store.stream(key),
        lambda: store.head(key),
        lambda: store.delete([key]),
        lambda: store.uri(key),
        lambda: store.local_path(key) or store.uri(key),
    ]
    for action in actions:
        with pytest.raises(ValueError, match="not a store key"):
            action()


def test_a_store_that_answers_passes_its_check(store: Store) -> None:
    store.check()


def test_two_stores_with_the_same_url_see_the_same_objects(
    store: Store, reopen: Callable[[], Store]
) -> None:
    key = uuid4().hex
    store.put(key, b"x")
    assert reopen().get(key) == b"x"
