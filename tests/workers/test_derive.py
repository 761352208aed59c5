"""What is made from a recorded VOD, of two runs with a gap, is whole, right and entered at once."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aethex.library import Library, NotInLibrary, VodSegment, jobs, leases, vods
from aethex.media.hls import package
from aethex.media.vod import PackagedVod
from aethex.settings import Settings
from aethex.store import Store, open_store
from aethex.workers import segment_files
from aethex.workers.derive import derive_vod
from tests.media.conftest import media_settings
from tests.media.footage import Recipe, look, make
from tests.workers.recordings import Recording, record

AT = datetime(2026, 3, 7, 20, 0, tzinfo=UTC)
FIRST = Recipe(seconds=8, options="preset=ultrafast;crf=30;g=60;bf=2")
SECOND = Recipe(seconds=5, options="preset=ultrafast;crf=30;g=60;bf=0", size=(400, 300))
RATE = 30

Deriver = Callable[[], object]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[PackagedVod]:
    folder = tmp_path_factory.mktemp("runs")
    settings = media_settings(folder / "data")
    return [
        package(make(folder / f"{n}.mp4", recipe), folder / f"{n}", settings=settings)
        for n, recipe in enumerate((FIRST, SECOND))
    ]


@pytest.fixture
def recording(library: Library, folder_store: Store, runs: list[PackagedVod]) -> Recording:
    return record(library, folder_store, runs, AT)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_files, "BATCH_SEGMENTS", 2)


def entered(library: Library, recording: Recording):
    with library.session() as s:
        vod = vods.get(s, recording.vod_id)
        assert vod is not None
        return vod


def everything(store: Store) -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list("vods")}


def test_all_of_it_is_made_stored_and_entered_with_its_bytes(
    settings: Settings, library: Library, folder_store: Store, recording: Recording
) -> None:
    told: list[float] = []
    derive_vod(
        settings, library, folder_store, recording.vod_id, lambda _, share: told.append(share)
    )
    vod = entered(library, recording)
    assert vod.size_bytes == sum(info.size_bytes for info in folder_store.list("vods"))
    assert vod.poster_key == f"{recording.folder}/poster.jpg"
    assert (vod.storyboard_key, vod.preview_key) == (
        f"{recording.folder}/storyboard.vtt",
        f"{recording.folder}/preview.webp",
    )
    cues = folder_store.get(f"{recording.folder}/storyboard.vtt").decode().split("\n\n")[1:]
    assert len(cues) == 2
    sheet = Image.open(io.BytesIO(folder_store.get(f"{recording.folder}/storyboard-000.webp")))
    assert sheet.size == (2 * 160, 90)
    loudness = json.loads(folder_store.get(f"{recording.folder}/loudness.json"))
    assert len(loudness["momentary"]) == 13
    assert all(value is not None for value in loudness["momentary"])
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert list((settings.data_dir / "tmp").iterdir()) == []


def test_the_mp4_holds_every_frame_of_both_runs_on_the_vods_time_in_sync(
    settings: Settings,
    library: Library,
    folder_store: Store,
    recording: Recording,
    tmp_path: Path,
) -> None:
    derive_vod(settings, library, folder_store, recording.vod_id)
    vod = entered(library, recording)
    assert vod.mp4_key is not None
    data = folder_store.get(vod.mp4_key)
    assert vod.mp4_bytes == len(data)
    assert data.index(b"moov") < data.index(b"mdat")
    path = tmp_path / "joined.mp4"
    path.write_bytes(data)
    seen = look(path)
    assert seen.numbers == [*range(8 * RATE), *range(5 * RATE)]
    np.testing.assert_allclose(seen.times, np.arange(13 * RATE) / RATE, atol=2e-3)
    assert len(seen.beep_lag) >= 12
    assert max(map(abs, seen.beep_lag)) < 0.035
    assert seen.sound_end == pytest.approx(13, abs=0.1)


def test_again_it_makes_the_same_and_counts_nothing_twice(
    settings: Settings, library: Library, folder_store: Store, recording: Recording
) -> None:
    derive_vod(settings, library, folder_store, recording.vod_id)
    first, objects = entered(library, recording), everything(folder_store)
    derive_vod(settings, library, folder_store, recording.vod_id)
    assert everything(folder_store) == objects
    assert entered(library, recording).size_bytes == first.size_bytes


@pytest.mark.r2
def test_on_r2_it_makes_the_same_and_keeps_no_copies(
    settings: Settings,
    r2_settings: Settings,
    library: Library,
    folder_store: Store,
    runs: list[PackagedVod],
) -> None:
    r2_store = open_store(r2_settings)
    made = []
    for of_store, store in ((settings, folder_store), (r2_settings, r2_store)):
        recording = record(library, store, runs, AT)
        derive_vod(of_store, library, store, recording.vod_id)
        made.append(
            {
                info.key.rpartition("/")[2]: store.get(info.key)
                for info in store.list(recording.folder)
                if not info.key.endswith("index.m3u8")
            }
        )
    assert made[0] == made[1]
    assert list((settings.data_dir / "tmp").iterdir()) == []


def test_who_lost_the_job_enters_nothing(
    settings: Settings, library: Library, folder_store: Store, recording: Recording
) -> None:
    def is_not_mine(_: object) -> None:
        raise RuntimeError("the lease is over")

    with pytest.raises(RuntimeError):
        derive_vod(settings, library, folder_store, recording.vod_id, in_transaction=is_not_mine)
    vod = entered(library, recording)
    assert (vod.storyboard_key, vod.mp4_key, vod.size_bytes) == (None, None, recording.size_bytes)


def test_what_comes_while_it_is_made_is_not_left_out_for_ever(
    settings: Settings, library: Library, folder_store: Store, recording: Recording
) -> None:
    """A segment of a recorder that was away: the job that runs has not seen it."""
    with library.session() as s:
        jobs.enqueue(s, vods.DERIVE_KIND, recording.vod_id)
        before = vods.count_segments(s, recording.vod_id)
    with library.session() as s:
        claim = leases.claim(s, "worker", [vods.DERIVE_KIND], 600)
    assert claim is not None

    def comes_late(stage: str, share: float) -> None:
        if (stage, share) == ("joining", 1.0):
            return
        with library.session() as s:
            last = vods.runs_and_segments(s, recording.vod_id)[-1].segments[-1]
            if vods.count_segments(s, recording.vod_id) == before:
                late = {"sequence": before, "start_ms": last.start_ms + last.duration_ms}
                values = {c.name: getattr(last, c.name) for c in VodSegment.__table__.columns}
                s.add(VodSegment(**values | late))
            jobs.enqueue(s, vods.DERIVE_KIND, recording.vod_id)  # as when it is finished again

    derive_vod(
        *(settings, library, folder_store, recording.vod_id, comes_late),
        in_transaction=lambda s: leases.finish(s, claim),
    )
    with library.session() as s:
        again = jobs.open_job(s, vods.DERIVE_KIND, recording.vod_id)
    assert again is not None
    assert again.id != claim.id


def test_a_run_that_was_killed_enters_nothing_and_the_next_one_overwrites_what_it_left(
    settings: Settings, library: Library, folder_store: Store, recording: Recording
) -> None:
    code = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from aethex.library import Library\n"
        "from aethex.settings import Settings\n"
        "from aethex.store import open_store\n"
        "from aethex.workers import derive\n"
        "derive.store_mp4 = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "data_dir, url = Path(sys.argv[1]), sys.argv[2]\n"
        "settings = Settings(_env_file=None, data_dir=data_dir, database_url=url)\n"
        "library = Library.open(settings)\n"
        "derive.derive_vod(settings, library, open_store(settings), sys.argv[3])\n"
    )
    arguments = [settings.data_dir, settings.database_url, recording.vod_id]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert entered(library, recording).storyboard_key is None
    left = set(everything(folder_store))
    assert f"{recording.folder}/storyboard.vtt" in left
    derive_vod(settings, library, folder_store, recording.vod_id)
    assert left < set(everything(folder_store))
    assert entered(library, recording).storyboard_key is not None
    assert list((settings.data_dir / "tmp").iterdir()) == []


def test_a_segment_that_is_missing_is_named_and_nothing_is_entered(
    settings: Settings, library: Library, folder_store: Store, recording: Recording
) -> None:
    (key,) = [key for key in everything(folder_store) if key.endswith("000001.m4s")][:1]
    folder_store.delete([key])
    with pytest.raises(Exception, match="000001"):
        derive_vod(settings, library, folder_store, recording.vod_id)
    assert entered(library, recording).storyboard_key is None


def test_a_vod_that_is_not_there_is_refused(
    settings: Settings, library: Library, folder_store: Store
) -> None:
    with pytest.raises(NotInLibrary, match="check the id"):
        derive_vod(settings, library, folder_store, "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA")
