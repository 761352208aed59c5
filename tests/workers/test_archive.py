"""A recording that its provider made becomes its stream's VOD, whatever happens in between."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from aethex.fetch import Fetcher
from aethex.library import Library, Vod, archives, captions, jobs, leases, recording, vods
from aethex.library.channels import ensure_channel
from aethex.library.models import Job, ProviderRecording, Stream
from aethex.library.recording import RecordingWishes
from aethex.library.streams import ensure_stream, set_stream_bounds
from aethex.providers.cloudflare_recordings import CloudflareRecordings
from aethex.providers.mux_recordings import MuxRecordings
from aethex.settings import Settings
from aethex.store import Store
from aethex.workers import archive
from aethex.workers.archive import Archiver
from aethex.workers.worker import Pace, work
from tests.workers.provider_server import (
    ASSET,
    INPUT,
    UID,
    ProviderServer,
    add_subtitles,
    make_hls,
    provider_server,
)

START = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)
QUICK = Pace(poll_seconds=0.1, idle_seconds=0.0)
ACCOUNT = "/accounts/acc/stream"
SECRET = SecretStr("secret")


@pytest.fixture(scope="session")
def muxed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HLS with sound and picture in one, in MPEG-TS."""
    folder = tmp_path_factory.mktemp("hls") / "muxed"
    make_hls(folder)
    return folder


@pytest.fixture(scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HLS whose sound has a playlist of its own, in fragmented MP4."""
    folder = tmp_path_factory.mktemp("hls") / "apart"
    make_hls(folder, has_separate_sound=True)
    return folder


@pytest.fixture
def server(muxed: Path) -> Iterator[ProviderServer]:
    with provider_server(muxed) as server:
        yield server


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_ASK_AGAIN_SECONDS", 0.01)


@pytest.fixture
def stream(library: Library) -> Stream:
    with library.session() as s:
        made = ensure_stream(s, ensure_channel(s, "retro"), "Evening")
        return set_stream_bounds(s, made.id, START, START + timedelta(minutes=1))


def told(library: Library, stream: Stream | None, provider: str = "mux", **values) -> str:
    """A recording as a webhook tells of it."""
    given = {
        "external_id": ASSET,
        "state": "ready",
        "started_at": START + timedelta(seconds=2),
        "details": {},
        "told_at": START,
    } | values
    with library.session() as s:
        row = ProviderRecording(
            id="prec_1", provider=provider, stream_id=stream.id if stream else None, **given
        )
        s.add(row)
    return "prec_1"


def archiver(settings: Settings, library: Library, server: ProviderServer) -> Archiver:
    allowed = settings.model_copy(update={"fetch_allow": ("127.0.0.1",)})
    sources = {
        "cloudflare": CloudflareRecordings("acc", SECRET, server.url),
        "mux": MuxRecordings("id", SECRET, server.url),
    }
    return Archiver(allowed, library, Fetcher(allowed), sources)


def copy(settings: Settings, library: Library, server: ProviderServer) -> Job:
    """Ask for the copies that are to be made, and make them; the job as it ended."""
    with library.session() as s:
        archives.enqueue_ready(s)
    handlers = {archives.KIND: archiver(settings, library, server)}
    work(library, settings, handlers, name="archive", pace=QUICK)
    with library.session() as s:
        job = jobs.last_job(s, archives.KIND, "prec_1")
    assert job is not None
    return job


def vod_of(library: Library) -> Vod:
    with library.session() as s:
        row = archives.get(s, "prec_1")
        assert row.archived_at is not None
        assert row.vod_id is not None
        vod = vods.get_listed(s, row.vod_id)
    assert vod is not None
    return vod


def test_a_public_recording_becomes_a_vod_at_its_time(
    settings: Settings, library: Library, folder_store: Store, stream: Stream, server
):
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    job = copy(settings, library, server)
    assert (job.state, job.error) == ("done", None)
    vod = vod_of(library)
    assert (vod.stream_id, vod.title, vod.width) == (stream.id, "Evening", 320)
    assert abs((vod.duration_ms or 0) - 6000) < 100
    with library.session() as s:
        (run,) = vods.runs_and_segments(s, vod.id)
    assert run.run.started_at == START + timedelta(seconds=2)
    assert run.run.start_ms == 2000
    for key in (vod.playlist_key, vod.mp4_key, vod.poster_key, *(x.key for x in run.segments)):
        assert key is not None
        assert folder_store.exists(key)
    assert server.files_sent(".ts") == len(list(server.folder.glob("*.ts")))
    assert list((settings.data_dir / "tmp" / "archive").iterdir()) == []


def test_sound_that_comes_apart_is_joined_in_time(
    settings: Settings, library: Library, stream: Stream, apart: Path
):
    with provider_server(apart) as server:
        told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
        assert copy(settings, library, server).error is None
    vod = vod_of(library)
    assert (vod.audio_codec, abs((vod.duration_ms or 0) - 6000) < 100) == ("aac", True)


@pytest.fixture
def said(muxed: Path, tmp_path: Path) -> Iterator[ProviderServer]:
    """A recording with captions in English and German, whose clock begins ten seconds late."""
    folder = tmp_path / "said"
    shutil.copytree(muxed, folder)
    add_subtitles(folder)
    with provider_server(folder) as server:
        yield server


def test_captions_of_the_recording_come_along_in_its_time(
    settings, library, folder_store: Store, stream, said: ProviderServer
):
    told(library, stream, hls_url=f"{said.url}/media/pb/master.m3u8")
    assert copy(settings, library, said).error is None
    vod = vod_of(library)
    with library.session() as s:
        german, english = captions.of_vod(s, vod.id)
    assert (german.language, german.label, german.source) == ("de", "Deutsch", "provider")
    assert (english.language, english.label, english.kind) == ("en-US", "English CC", "captions")
    assert folder_store.get(english.key) == (
        b"WEBVTT\n\n00:00:00.500 --> 00:00:02.500\nover the border\n\n"
        b"00:00:04.000 --> 00:00:05.000 align:start\n<i>the end</i>\n"
    )
    assert b"00:00:01.000 --> 00:00:02.000\nvom Anfang an" in folder_store.get(german.key)
    assert vod.size_bytes == sum(info.size_bytes for info in folder_store.list("vods"))


def test_captions_that_cannot_be_read_are_left_out_and_the_video_is_kept(
    settings, library, stream, said: ProviderServer, caplog: pytest.LogCaptureFixture
):
    (said.folder / "english-1.vtt").write_text("WEBVTT\n\n00:01 -> 00:02\nx\n")
    caplog.set_level("INFO", "aethex.workers.archive")
    told(library, stream, hls_url=f"{said.url}/media/pb/master.m3u8")
    assert copy(settings, library, said).state == "done"
    with library.session() as s:
        assert [one.language for one in captions.of_vod(s, vod_of(library).id)] == ["de"]
    assert "The captions in English CC were left out. Line 3: text without a time" in caplog.text


def test_captions_that_may_come_later_are_waited_for_until_the_last_attempt(
    settings, library, stream, said: ProviderServer
):
    said.fails = {"german.vtt": ["503"] * 99}
    told(library, stream, hls_url=f"{said.url}/media/pb/master.m3u8")
    job = copy(settings, library, said)
    assert (job.state, "german.vtt answered 503" in (job.error or "")) == ("queued", True)
    with library.session() as s:
        row = s.get_one(Job, job.id)
        row.run_after, row.attempts = START, row.max_attempts - 1
    assert copy(settings, library, said).state == "done"
    with library.session() as s:
        assert [one.language for one in captions.of_vod(s, vod_of(library).id)] == ["en-US"]


def test_asking_again_copies_nothing_again(settings, library, stream, server):
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    copy(settings, library, server)
    vod, asked = vod_of(library), sum(server.asked.values())
    with library.session() as s:
        assert archives.enqueue_ready(s) == []
        jobs.enqueue(s, archives.KIND, "prec_1")
    assert copy(settings, library, server).state == "done"
    assert sum(server.asked.values()) == asked
    assert vod_of(library).id == vod.id


def test_a_network_that_fails_now_and_then_costs_a_few_requests(settings, library, stream, server):
    server.fails = {
        "video.m3u8": ["503"],
        "video-001.ts": ["half", "500"],
        "video-003.ts": ["half"],
    }
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    job = copy(settings, library, server)
    assert (job.state, job.attempts) == ("done", 1)
    assert server.asked["/media/pb/video-001.ts"] == 3
    assert server.asked["/media/pb/video-000.ts"] == 1


def test_an_attempt_that_failed_leaves_what_it_has_to_the_next(settings, library, stream, server):
    server.fails = {"video-004.ts": ["500"] * 4}
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    job = copy(settings, library, server)
    assert (job.state, job.attempts) == ("queued", 1)
    assert "video-004.ts answered 500" in (job.error or "")
    damaged = next((settings.data_dir / "tmp/archive/prec_1/picture").glob("000000.ts"))
    damaged.write_bytes(b"not what was fetched")
    with library.session() as s:
        s.get_one(Job, job.id).run_after = START
    assert copy(settings, library, server).state == "done"
    counts = {n: server.asked[f"/media/pb/video-{n:03}.ts"] for n in range(6)}
    assert (counts[0], counts[4]) == (2, 5)
    assert all(counts[n] == 1 for n in (1, 2, 3))
    vod_of(library)


def test_what_a_copy_that_failed_for_good_left_goes_after_a_week(settings, library, stream, server):
    base = settings.data_dir / "tmp/archive"
    old = datetime.now(UTC).timestamp() - 8 * 24 * 3600
    for name in ("prec_old", "prec_new", "prec_held"):
        (base / name / "picture").mkdir(parents=True)
        (base / f"{name}.lock").touch()
        if name != "prec_new":
            os.utime(base / f"{name}.lock", (old, old))
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    with (base / "prec_held.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert copy(settings, library, server).state == "done"
    assert {path.name for path in base.iterdir() if path.is_dir()} == {"prec_new", "prec_held"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"hls_url": "http://169.254.169.254/x.m3u8"}, "AETHEX_FETCH_ALLOW"),
        ({"hls_url": "file:///etc/passwd"}, "only http, https"),
        ({"hls_url": None, "provider": "srs"}, "has no address"),
        ({"hls_url": "{url}/media/pb/video-000.ts", "provider": "srs"}, "no HLS playlist"),
    ],
)
def test_what_cannot_be_copied_is_not_tried_again(settings, library, stream, server, values, why):
    values = {k: v and v.replace("{url}", server.url) for k, v in values.items()}
    told(library, stream, **values)
    job = copy(settings, library, server)
    assert job.state == "failed"
    assert why in (job.error or "")
    with library.session() as s:
        assert archives.enqueue_ready(s) == []


def test_recordings_of_no_stream_and_of_channels_that_want_none_are_left(
    settings, library, stream, server
):
    told(library, None, hls_url=f"{server.url}/media/pb/master.m3u8")
    with library.session() as s:
        assert archives.enqueue_ready(s) == []
        archives.get(s, "prec_1").stream_id = stream.id
        recording.set_wishes(s, stream.channel_id, RecordingWishes(is_enabled=False))
    assert copy(settings, library, server).state == "done"
    with library.session() as s:
        assert archives.get(s, "prec_1").archived_at is None
    assert not server.asked


@pytest.mark.parametrize(("min_seconds", "reason"), [(30, None), (61, "test")])
def test_the_recording_of_a_stream_under_the_minimum_is_a_test(
    settings, library, stream, server, min_seconds, reason
):
    """The stream was live for a minute. Six seconds of a longer one are what its provider has."""
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    with library.session() as s:
        wishes = RecordingWishes(min_duration_seconds=min_seconds)
        recording.set_wishes(s, stream.channel_id, wishes)
    assert copy(settings, library, server).state == "done"
    with library.session() as s:
        vod = vods.get(s, str(archives.get(s, "prec_1").vod_id))
    assert vod is not None
    assert (vod.status, vod.delete_reason) == ("ready", reason)


def test_a_channel_that_wants_no_mp4_gets_none(
    settings: Settings, library: Library, folder_store: Store, stream: Stream, server
):
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    with library.session() as s:
        recording.set_wishes(s, stream.channel_id, RecordingWishes(formats=("hls",)))
    assert copy(settings, library, server).state == "done"
    vod = vod_of(library)
    assert (vod.mp4_key, vod.mp4_bytes) == (None, None)
    stored = [*folder_store.list("vods")]
    assert not any(info.key.endswith("video.mp4") for info in stored)
    assert vod.size_bytes == sum(info.size_bytes for info in stored)


# --- Cloudflare -----------------------------------------------------------------------------------


def video(server: ProviderServer, **more) -> dict[str, object]:
    playback = {"hls": f"{server.url}/media/{UID}/manifest/master.m3u8"}
    status = {"state": "ready"}
    return {"uid": UID, "status": status, "playback": playback, "created": START.isoformat()} | more


def test_cloudflare_signed_recordings_are_fetched_with_a_token(settings, library, stream, server):
    asked = []
    server.api[("POST", f"{ACCOUNT}/{UID}/token")] = lambda body: (
        asked.append(body) or {"result": {"token": "eyTOKEN"}}
    )
    url = f"{server.url}/media/{UID}/manifest/master.m3u8"
    told(library, stream, "cloudflare", external_id=UID, hls_url=url, is_signed=True)
    assert copy(settings, library, server).error is None
    vod_of(library)
    assert server.asked["/media/eyTOKEN/manifest/master.m3u8"] == 1
    assert asked[0]["downloadable"] is True
    assert server.authorizations == {"Bearer secret"}


def test_cloudflare_recordings_told_by_their_input_are_looked_up(settings, library, stream, server):
    old = video(server, uid="old", created="2026-01-01T00:00:00Z", playback={"hls": "http://x/"})
    live = video(server, uid="live", status={"state": "live-inprogress"})
    server.api[("GET", f"{ACCOUNT}/live_inputs/{INPUT}/videos")] = {
        "result": [old, video(server), live]
    }
    its = f"{INPUT}@2026-01-30T18:00:00+00:00"
    told(library, stream, "cloudflare", external_id=its, is_to_look_up=True)
    assert copy(settings, library, server).error is None
    vod_of(library)


def test_cloudflare_recordings_in_several_parts_are_taken_as_mp4(
    settings, library, stream, muxed, tmp_path
):
    folder = tmp_path / "broken"
    shutil.copytree(muxed, folder)
    text = (folder / "video.m3u8").read_text()
    (folder / "video.m3u8").write_text(text.replace("#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF", 3))
    polls = iter(["inprogress", "inprogress", "ready"])
    with provider_server(folder) as broken:
        address = f"{ACCOUNT}/{UID}"
        made = {"url": f"{broken.url}/media/{UID}/downloads/source.mp4", "percentComplete": 50}
        posted = []
        broken.api |= {
            ("GET", address): {"result": video(broken)},
            ("POST", f"{address}/downloads"): lambda body: (
                posted.append(body) or {"result": {"default": {"status": "inprogress"}}}
            ),
            ("GET", f"{address}/downloads"): lambda _: {
                "result": {"default": {"status": next(polls), **made}} if posted else {}
            },
        }
        url = f"{broken.url}/media/{UID}/manifest/master.m3u8"
        told(library, stream, "cloudflare", external_id=UID, hls_url=url)
        job = copy(settings, library, broken)
    assert (job.state, job.attempts, len(posted)) == ("done", 1, 1)
    assert abs((vod_of(library).duration_ms or 0) - 6000) < 100


# --- Mux ------------------------------------------------------------------------------------------


def test_mux_recordings_behind_a_signature_are_fetched_as_their_master(
    settings, library, stream, server
):
    address = f"/video/v1/assets/{ASSET}"
    master = {"status": "ready", "url": f"{server.url}/media/m/source.mp4"}
    asked = []
    server.api |= {
        ("PUT", f"{address}/master-access"): lambda body: (
            asked.append(body) or {"data": {"master": {"status": "preparing"}}}
        ),
        ("GET", address): lambda _: {"data": {"master": master} if asked else {}},
    }
    told(library, stream, hls_url="https://stream.mux.com/x.m3u8", is_signed=True)
    assert copy(settings, library, server).error is None
    vod_of(library)
    assert asked == [{"master_access": "temporary"}]
    assert server.authorizations == {"Basic aWQ6c2VjcmV0"}


# --- killed ---------------------------------------------------------------------------------------

_processes = multiprocessing.get_context("forkserver")


def _work_in_a_process(settings: Settings, url: str) -> None:
    server = ProviderServer(int(url.rpartition(":")[2]), Path())
    with Library.open(settings) as library:
        handlers = {archives.KIND: archiver(settings, library, server)}
        pace = Pace(lease_seconds=0.5, poll_seconds=0.1, idle_seconds=30.0)
        work(library, settings, handlers, name="archive", pace=pace)


def test_a_copy_that_is_killed_goes_on_where_it_was(settings, library, stream, server):
    """kill -9 while the last segment is on its way; those before it are not fetched again."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "video-005.ts" and not go_on.is_set():
            reached.set()
            go_on.wait(60)

    server.on_file = hold
    told(library, stream, hls_url=f"{server.url}/media/pb/master.m3u8")
    with library.session() as s:
        archives.enqueue_ready(s)
    process = _processes.Process(target=_work_in_a_process, args=(settings, server.url))
    process.start()
    try:
        assert reached.wait(60)
        _until_there(settings, 5)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    finally:
        process.kill()
        go_on.set()
    with library.session() as s:
        # the dead worker's lease need not be waited for
        leases.release_worker(s, str(jobs.last_job(s, archives.KIND, "prec_1").worker_id))  # pyright: ignore[reportOptionalMemberAccess]
    job = copy(settings, library, server)
    assert (job.state, job.attempts) == ("done", 2)
    vod_of(library)
    assert {server.asked[f"/media/pb/video-{n:03}.ts"] for n in range(5)} == {1}
    assert server.asked["/media/pb/video-005.ts"] == 2


def _until_there(settings: Settings, files: int) -> None:
    folder = settings.data_dir / "tmp/archive/prec_1/picture"
    wait = threading.Event()
    for _ in range(1000):
        if len(list(folder.glob("*.sha256"))) >= files:
            return
        wait.wait(0.02)
    raise AssertionError("the files never came")
