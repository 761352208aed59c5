import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aethex.lake.build_records import BuildFile
from aethex.lake.cache import FileCache
from aethex.settings import PROJECT_DIR
from aethex.store import NotFound, ObjectInfo, Store


class Remote(Store):
    """A folder that pretends to be remote, and counts what is fetched from it."""

    def __init__(self, folder: Path) -> None:
        store = Store.open(folder.as_uri())
        self.__dict__.update(store.__dict__)
        self.is_local = False
        self.fetched: list[str] = []

    def local_path(self, key: str) -> Path | None:
        del key
        return None

    def download(self, key: str, path: Path) -> ObjectInfo:
        self.fetched.append(key)
        return super().download(key, path)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """Five objects of 100 bytes."""
    store = Remote(tmp_path / "remote")
    for n in range(5):
        store.put(f"lake/{n}.parquet", bytes([n]) * 100)
    return store


def files(*numbers: int) -> list[BuildFile]:
    return [BuildFile(f"lake/{n}.parquet", 100, 1) for n in numbers]


def here(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "files").rglob("*") if path.is_file())


def test_files_are_fetched_once_and_are_whole(remote: Remote, tmp_path: Path) -> None:
    cache = FileCache(remote, tmp_path / "cache", 1000)
    with cache.pinned(files(0, 1)) as paths:
        assert [path.read_bytes() for path in paths] == [bytes([n]) * 100 for n in (0, 1)]
    with cache.pinned(files(1, 2)):
        pass
    assert sorted(remote.fetched) == [f"lake/{n}.parquet" for n in (0, 1, 2)]


@pytest.mark.usefixtures("remote")
def test_a_folder_store_is_read_in_place(tmp_path: Path) -> None:
    store = Store.open((tmp_path / "remote").as_uri())
    with FileCache(store, tmp_path / "cache", 0).pinned(files(3)) as paths:
        assert paths == [tmp_path / "remote" / "lake" / "3.parquet"]
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_not_whole_is_fetched_again(remote: Remote, tmp_path: Path) -> None:
    torn = tmp_path / "cache" / "files" / "lake" / "0.parquet"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    with FileCache(remote, tmp_path / "cache", 1000).pinned(files(0)) as paths:
        assert paths[0].read_bytes() == bytes(100)


def test_the_least_recently_used_go_first(remote: Remote, tmp_path: Path) -> None:
    cache = FileCache(remote, tmp_path / "cache", 250)
    for n in (0, 1, 0, 2):
        with cache.pinned(files(n)):
            time.sleep(0.01)  # file times must differ
    cache.evict()
    assert here(tmp_path / "cache") == ["0.parquet", "2.parquet"]


def test_pinned_files_stay_whatever_the_limit(remote: Remote, tmp_path: Path) -> None:
    cache = FileCache(remote, tmp_path / "cache", 0)
    pin, paths = cache.pin(files(0, 1))
    with FileCache(remote, tmp_path / "cache", 0).pinned(files(2)):
        assert all(path.exists() for path in paths)
    assert cache.evict().files == 2
    pin.release()
    pin.release()
    assert cache.evict().files == 0


def test_a_pin_is_gone_when_an_object_is_missing(remote: Remote, tmp_path: Path) -> None:
    cache = FileCache(remote, tmp_path / "cache", 0)
    with pytest.raises(NotFound):
        cache.pin(files(0, 9))
    assert list((tmp_path / "cache" / "pins").iterdir()) == []
    assert cache.evict().files == 0


def test_many_readers_at_once_each_see_whole_files(remote: Remote, tmp_path: Path) -> None:
    wrong: list[object] = []

    def read() -> None:
        try:
            cache = FileCache(remote, tmp_path / "cache", 300)
            for n in (0, 1, 2, 3, 4, 0):
                with cache.pinned(files(n, (n + 1) % 5)) as paths:
                    contents = [path.read_bytes() for path in paths]
                    if contents != [bytes([n]) * 100, bytes([(n + 1) % 5]) * 100]:
                        wrong.append(contents)
        except BaseException as error:  # the test reports it
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


PINNER = """
import sys
from pathlib import Path
from aethex.lake.build_records import BuildFile
from aethex.lake.cache import FileCache
from aethex.store import Store
cache = FileCache(Store.open("file:///nowhere"), Path(sys.argv[1]), 0)
pin = cache._write_pin([cache._path("lake/0.parquet")])
print("pinned", flush=True)
sys.stdin.read()
"""


def test_another_process_s_pin_holds_until_it_is_killed(remote: Remote, tmp_path: Path) -> None:
    cache = FileCache(remote, tmp_path / "cache", 0)
    pin, paths = cache.pin(files(0))
    other = subprocess.Popen(
        [sys.executable, "-c", PINNER, str(tmp_path / "cache")],
        cwd=PROJECT_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "pinned\n"
        pin.release()
        assert cache.evict().files == 1
        assert paths[0].exists()
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.communicate()
    assert cache.evict().files == 0
