"""What the recorder tells the library of an input, while it looks after streams that nobody has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from aethex.library import ChannelInput, Library, SignalKind, Stream, channels, inputs, live
from aethex.library.holds import Holds
from aethex.postgres import DatabaseUnreachable
from aethex.settings import Settings
from aethex.store import Store
from aethex.workers.recorder import desk as desk_module
from aethex.workers.recorder.desk import Desk
from aethex.workers.recorder.publication import Publication
from tests.workers.recorder.live_streams import Studio

KEY = "a-stream-key"


@pytest.fixture
def holds(settings: Settings) -> Iterator[Holds]:
    holds = Holds(settings)
    yield holds
    holds.close()


@pytest.fixture
def desk(settings: Settings, library: Library, holds: Holds) -> Desk:
    return Desk(settings, library, holds, lambda: datetime.now(UTC))


@pytest.fixture
def of(library: Library) -> ChannelInput:
    with library.session() as s:
        return inputs.add_input(s, channels.ensure_channel(s, "gdq").id, "rtmp", key=KEY)


def is_awaited(library: Library, of: ChannelInput) -> bool:
    """Whether its stream ends unless its encoder comes back."""
    with library.session() as s:
        return s.get_one(ChannelInput, of.id).settles_at is not None


def test_an_encoder_that_has_just_come_is_not_taken_for_one_that_was_left(
    desk: Desk, settings: Settings, library: Library, of: ChannelInput
):
    """It was let in, and nothing is recorded yet."""
    assert desk.admit_key("rtmp", KEY) is not None
    assert desk.take_back() == 0
    assert not is_awaited(library, of)
    other = Holds(settings)
    assert not other.take(of.id)
    other.close()


def test_a_stream_whose_recorder_died_is_awaited(desk: Desk, library: Library, of: ChannelInput):
    at = datetime.now(UTC)
    with library.session() as s:
        live.signal(s, of.id, "connected", at, "by one that died", at)
    assert desk.take_back() == 1
    assert is_awaited(library, of)


def test_an_end_that_could_not_be_told_is_told_with_the_next_look(
    desk: Desk, library: Library, of: ChannelInput, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object) -> None:
        raise DatabaseUnreachable("away")

    admission = desk.admit_key("rtmp", KEY)
    assert admission is not None
    kind: SignalKind = "disconnected"
    with monkeypatch.context() as patch:
        patch.setattr(desk_module, "_FIRST_WAIT_SECONDS", 0)
        patch.setattr(live, "signal", away)
        with pytest.raises(DatabaseUnreachable):
            desk.leave(admission, kind, None)
    assert desk.take_back() == 1
    assert is_awaited(library, of)


@pytest.mark.usefixtures("of")
def test_a_stream_whose_last_segment_cannot_be_kept_ends_all_the_same(
    desk: Desk, settings: Settings, library: Library, folder_store: Store
):
    """Its first picture says nothing that is true, which shows when it is written."""
    admission = desk.admit_key("rtmp", KEY)
    assert admission is not None
    studio = Studio(settings, library, folder_store)
    broken = [
        b"\x17\x00\0\0\0" + b"\x01\x64\x00\x0b\xff\xe1\x00\x02gd",
        b"\x17\x01\0\0\0\0\0\0\x01e",
    ]
    tags = [
        b"\x09" + len(body).to_bytes(3) + bytes(7) + body + (len(body) + 11).to_bytes(4)
        for body in broken
    ]

    async def run() -> None:
        with library.session() as s:
            stream = s.get_one(Stream, admission.stream_id)
        over: list[Publication] = []
        publication = Publication(admission, studio.capture(stream), desk, over.append)
        await publication.write(b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + b"".join(tags))
        await publication.finish(is_clean=True)
        assert over == [publication]

    asyncio.run(run())
    studio.close()
    with library.session() as s:
        assert s.get_one(Stream, admission.stream_id).status == "ended"
