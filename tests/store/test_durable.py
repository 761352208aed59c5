"""A folder's writes under hard conditions: killed writers, racing processes, full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aethex.store import AlreadyExists, Store, StoreError, StoreFull
from aethex.store.durable import RESERVED_NAME

WRITER = """
import sys
from aethex.store import Store
store = Store.open(sys.argv[1])
contents = [bytes([letter]) * 4_000_000 for letter in b"abc"]
print("writing", flush=True)
while True:
    for content in contents:
        store.put("object", content)
"""

CREATOR = """
import sys
from aethex.store import AlreadyExists, Store
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(100):
    try:
        store.create(f"race/{number}", sys.argv[2].encode())
        won.append(number)
    except AlreadyExists:
        pass
print(*won)
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return Store.open(folder.as_uri())


def test_a_killed_writer_leaves_old_or_new_content_never_half(store: Store) -> None:
    store.put("object", b"a" * 4_000_000)
    for delay_ms in (1, 5, 12, 23, 37):
        writer = python(WRITER, store.url)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay_ms / 1000)  # the moment of death is the point of the test
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        content = store.get("object")
        assert len(content) == 4_000_000
        assert len(set(content)) == 1
        assert [info.key for info in store.list()] == ["object"]
        store.put("object", content)  # and nobody holds the lock


def test_of_racing_processes_exactly_one_creates_an_object(store: Store) -> None:
    racers = [python(CREATOR, store.url, str(number)) for number in range(3)]
    for racer in racers:
        assert racer.stdout is not None
        racer.stdout.readline()
    won = {n: set(map(int, racer.communicate("go\n")[0].split())) for n, racer in enumerate(racers)}
    assert sorted(number for numbers in won.values() for number in numbers) == list(range(100))
    for racer, numbers in won.items():
        assert all(store.get(f"race/{number}") == b"%d" % racer for number in numbers)


def test_what_a_killed_writer_left_is_swept_after_a_day(store: Store, folder: Path) -> None:
    store.put("a", b"x")
    leftovers = folder / RESERVED_NAME / "tmp"
    for name, age_hours in (("old", 25), ("young", 1)):
        (leftovers / name).write_bytes(b"half")
        then = time.time() - age_hours * 3600
        os.utime(leftovers / name, (then, then))
    Store.open(store.url).put("b", b"x")
    assert [path.name for path in leftovers.iterdir()] == ["young"]


def test_a_full_disk_says_so_and_leaves_nothing(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreFull, match="AETHEX_STORE_URL") as caught:
            store.put("a", b"new")
    assert "\n" not in str(caught.value)
    assert store.get("a") == b"old"
    assert list((folder / RESERVED_NAME / "tmp").iterdir()) == []


def test_a_refused_write_leaves_nothing(store: Store, folder: Path) -> None:
    store.create("a", b"x")
    with pytest.raises(AlreadyExists):
        store.create("a", b"y")
    assert list((folder / RESERVED_NAME / "tmp").iterdir()) == []


def test_delete_takes_the_empty_folders_along_but_not_the_root(store: Store, folder: Path) -> None:
    store.put("a/b/c", b"x")
    store.put("a/d", b"x")
    store.delete(["a/b/c"])
    assert not (folder / "a" / "b").exists()
    store.delete(["a/d"])
    assert sorted(path.name for path in folder.iterdir()) == [RESERVED_NAME]


def test_writing_and_deleting_neighbours_at_once_fails_nobody(folder: Path) -> None:
    churn = """
import sys
from aethex.store import Store
store = Store.open(sys.argv[1])
for number in range(200):
    store.put(f"deep/folder/{sys.argv[2]}", b"x")
    store.delete([f"deep/folder/{sys.argv[2]}"])
"""
    writers = [python(churn, folder.as_uri(), name) for name in ("a", "b")]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]


def test_every_write_reaches_the_disk_before_it_is_acknowledged(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.put("a/b", b"x")
    wanted = {str(folder), str(folder / "a")}
    assert wanted <= set(synced)
    assert any(Path(path).parent.name == "tmp" for path in synced)


def test_a_key_below_an_object_is_refused_in_one_line(store: Store) -> None:
    store.put("a", b"x")
    with pytest.raises(StoreError, match="a is a file"):
        store.put("a/b", b"x")
