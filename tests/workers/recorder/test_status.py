"""`aethex recorder status`: what is recorded now, and what should be but is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aethex.library import (
    ChannelInput,
    Library,
    NewRun,
    NewVodSegment,
    SignalKind,
    captures,
    channels,
    inputs,
    live,
    new_id,
    recording,
)
from aethex.library.captures import Picture
from aethex.library.holds import Holds
from aethex.library.recording import RecordingWishes
from aethex.media.record import RunStarted, SegmentClosed
from aethex.settings import Settings
from aethex.workers.recorder.spool import RunFacts, Spool, waiting_in
from tests.commands import Commands, Outcome

SHA256 = "0123456789abcdef" * 4


def ago(seconds: float) -> datetime:
    """The command goes by the real clock."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.fixture
def aethex(tmp_path: Path, database_url: str) -> Commands:
    return Commands(tmp_path / "data", database_url, {"rtmp_port": "1935"})


@pytest.fixture
def holds(settings: Settings) -> Iterator[Holds]:
    """A recorder's, which is this process."""
    holds = Holds(settings)
    yield holds
    holds.close()


def add_input(library: Library, provider: str = "rtmp", **options) -> ChannelInput:
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        external_id = options.pop("external_id", None)
        return inputs.add_input(s, channel.id, provider, external_id, **options)


def tell(
    library: Library, of: ChannelInput, kind: SignalKind = "connected", at: datetime | None = None
) -> str:
    at = at or ago(0)
    with library.session() as s:
        stream = live.signal(s, of.id, kind, at, f"{kind} {at}", at)
        assert stream is not None
        return stream.id


def add_segment(library: Library, stream_id: str, at: datetime) -> None:
    run = NewRun(new_id("run"), at, 0, 0, "vods/x/init.mp4", 800, SHA256)
    segment = NewVodSegment(run.id, 0, f"vods/x/{run.id}/0.m4s", 0, 4000, 1000, SHA256)
    with library.session() as s:
        captures.add_segment(s, stream_id, run, segment, Picture(640, 360, 30, True))


def rows(outcome: Outcome) -> str:
    return "\n".join(line.rstrip() for line in outcome.stdout.splitlines())


def test_without_inputs_nothing_is_live(aethex: Commands) -> None:
    outcome = aethex("recorder", "status")
    assert outcome.code == 0
    assert rows(outcome) == (
        "No stream is live.\n\n0 closed segments (0 bytes) wait on this machine's disk; "
        "0 VODs wait for being finished."
    )


def test_a_recorded_stream_says_by_whom_and_until_when(
    aethex: Commands, library: Library, holds: Holds
) -> None:
    of = add_input(library)
    began_at, at = ago(600), ago(5)
    stream_id = tell(library, of, at=began_at)
    assert holds.take(of.id)
    add_segment(library, stream_id, at)
    outcome = aethex("recorder", "status")
    assert outcome.code == 0
    (line,) = [line for line in rows(outcome).splitlines() if line.startswith(stream_id)]
    assert f"{of.id}  @gdq     {began_at:%Y-%m-%d %H:%M:%S}" in line
    assert f"{at + timedelta(seconds=4):%H:%M:%S}  recorded" in line
    assert line.endswith(f":{os.getpid()}")


def test_a_stream_that_no_recorder_has_is_not_recorded(
    aethex: Commands, library: Library, holds: Holds
) -> None:
    stream_id = tell(library, of := add_input(library))
    assert holds.take("inp_another")
    outcome = aethex("recorder", "status")
    assert outcome.code == 1
    assert stream_id in outcome.stdout
    assert "not recorded  no recorder has it" in outcome.stdout
    assert holds.take(of.id)
    assert aethex("recorder", "status").code == 0
    holds.close()
    assert aethex("recorder", "status").code == 1


def test_a_stream_of_which_no_segment_comes_is_not_recorded(
    aethex: Commands, library: Library, holds: Holds
) -> None:
    of = add_input(library)
    stream_id = tell(library, of, at=ago(600))
    assert holds.take(of.id)
    outcome = aethex("recorder", "status")
    assert outcome.code == 1
    assert f":{os.getpid()} has it, but no segment comes" in outcome.stdout
    add_segment(library, stream_id, ago(600))
    assert aethex("recorder", "status").code == 1
    tell(library, of)  # its encoder is back, and its first segment not closed yet
    assert aethex("recorder", "status").code == 0


def test_what_waits_on_the_disk_is_recorded_and_counted(
    aethex: Commands, library: Library, holds: Holds, settings: Settings
) -> None:
    """The store is away: the library knows of no segment."""
    of = add_input(library)
    stream_id = tell(library, of, at=ago(600))
    assert holds.take(of.id)
    settings.recorder_dir.mkdir(parents=True)
    spool = Spool(settings.recorder_dir, "one")
    started_at = ago(9)
    facts = RunFacts(new_id("run"), stream_id, of.id, started_at, 640, 360, True)
    run = spool.run(facts, RunStarted(b"init", 640, 360, True, "avc1.42c01e"))
    run.write([b"1234567"])
    run.close_segment(SegmentClosed(0, 4000, 120, True))
    run.write([b"is open"])
    outcome = aethex("recorder", "status")
    assert outcome.code == 0
    assert "1 closed segments (7 bytes) wait on this machine's disk" in outcome.stdout
    assert f"{started_at + timedelta(seconds=4):%H:%M:%S}  recorded" in outcome.stdout
    (left,) = waiting_in(settings.recorder_dir)
    assert (left.run, left.bytes) == (facts, 7)
    assert (run.folder / "open").read_bytes() == b"is open"
    run.end()
    spool.close()


def test_an_encoder_that_was_lost_is_awaited(aethex: Commands, library: Library) -> None:
    of = add_input(library)
    lost_at = ago(1)
    tell(library, of, at=ago(2))
    tell(library, of, "disconnected", lost_at)
    outcome = aethex("recorder", "status")
    assert outcome.code == 0
    assert f"awaited  lost; the stream ends at {lost_at + timedelta(seconds=60):%H:%M:%S}" in (
        outcome.stdout
    )


def test_what_others_record_or_nobody_wishes_is_not_missed(
    aethex: Commands, library: Library
) -> None:
    theirs = add_input(library, "mux", external_id="mux-1", is_recorded_by_provider=True)
    no_address = add_input(library, "srs", external_id="live/gdq")
    for of in (theirs, no_address):
        tell(library, of)
    said = aethex("recorder", "status")
    assert said.code == 0
    assert "not ours  mux records it" in said.stdout
    assert "not ours  it has no address to pull from" in said.stdout
    tell(library, of := add_input(library))
    assert aethex("recorder", "status").code == 1
    with library.session() as s:
        recording.set_wishes(s, of.channel_id, RecordingWishes(is_enabled=False))
    said = aethex("recorder", "status")
    assert said.code == 0
    assert "not ours  the channel is not recorded" in said.stdout


def test_inputs_that_wait_for_an_encoder_say_what_keeps_it_away(
    aethex: Commands, library: Library, database_url: str
) -> None:
    add_input(library, name="Studio")
    add_input(library, "srt", key="0123456789abcdef")
    add_input(library, "pull", pull_url="rtmp://media.example.com/live/x")
    said = rows(aethex("recorder", "status"))
    assert "rtmp      Studio\n" in said
    assert "nobody listens: AETHEX_SRT_INPUTS has not its key" in said
    assert "nothing comes from its address" in said
    more = {"rtmp_port": "0", "srt_inputs": "9001=0123456789abcdef"}
    said = rows(Commands(aethex.data_dir, database_url, more)("recorder", "status"))
    assert "AETHEX_SRT_INPUTS" not in said
    assert "Studio  nobody listens: AETHEX_RTMP_PORT is 0" in said
    assert "0123456789abcdef" not in said
