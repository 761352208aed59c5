"""Folders for a while: one a user, and none left of a process that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from aethex.lake import scratch

SPILL = """
import sys, threading
from aethex.lake import Lake
from aethex.settings import get_settings

def spill(lake):
    with lake.duckdb(memory_limit="150MB", threads=1) as con:
        con.execute("CREATE TEMP TABLE x AS SELECT i, repeat('a viewer ' || i, 8) AS s "
                    "FROM range(1500000) AS t(i)")
        print(con.execute("SELECT count(DISTINCT s) FROM x").fetchone()[0])

lake = Lake.open(get_settings())
threads = [threading.Thread(target=spill, args=(lake,)) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

HOLD = """
import sys
from pathlib import Path
from aethex.lake import scratch
folder = scratch.new_folder(Path(sys.argv[1]))
folder.mkdir()
(folder / "spilled").write_text("vw_1")
print(folder, flush=True)
sys.stdin.read()
"""


def holder(cache_dir: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a folder of its own, and that folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cache_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_connections_that_spill_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    environment = {**os.environ, "AETHEX_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SPILL]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1500000", "1500000"]), done.stderr


def test_every_user_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = {scratch.new_folder(tmp_path) for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.parent.is_dir() and not folder.exists() for folder in folders)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_has_stays(
    tmp_path: Path,
) -> None:
    mine = scratch.new_folder(tmp_path)
    mine.mkdir()
    (living, its_folder), (killed, left) = holder(tmp_path), holder(tmp_path)
    killed.kill()
    killed.wait()
    assert scratch.sweep(tmp_path) == 1
    assert (left.exists(), left.parent.exists()) == (False, False)
    assert mine.is_dir()
    assert (its_folder / "spilled").exists()
    living.communicate("")
    assert scratch.sweep(tmp_path) == 1
    assert scratch.sweep(tmp_path) == 0


def test_a_process_whose_folders_were_removed_makes_them_again(tmp_path: Path) -> None:
    first = scratch.new_folder(tmp_path)
    first.parent.rmdir()
    assert scratch.new_folder(tmp_path).parent.is_dir()
