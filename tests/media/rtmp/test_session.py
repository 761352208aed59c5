"""A publisher's session, byte by byte as encoders send it, and against those that are hostile."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from aethex.media.rtmp import End, Event, Media, Publish, PublisherSession
from aethex.media.rtmp.events import MAX_UNKNOWN_BYTES, MediaKind
from tests.media.rtmp.encoder import (
    AUDIO,
    DATA,
    HELLO,
    HELLO_AGAIN,
    NONCE,
    VIDEO,
    Chunker,
    Sent,
    amf,
    closing,
    command,
    frames,
    opening,
)


def session_that_publishes(chunker: Chunker) -> PublisherSession:
    session = PublisherSession(NONCE)
    events = session.receive(HELLO + HELLO_AGAIN + chunker.bytes_of(opening()))
    assert events == [Publish("live", "key")]
    session.accept()
    session.take_output()
    return session


def as_media(messages: list[Sent]) -> list[Media]:
    return [Media(MediaKind(sent.type_id), sent.time_ms, sent.payload) for sent in messages]


def everything(data: bytes, cuts: list[int]) -> list[Event]:
    """What a session says of the data, fed in pieces, when every publisher is let in."""
    session, events = PublisherSession(NONCE), []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        new = session.receive(data[start:end])
        if any(isinstance(event, Publish) for event in new):
            new += session.accept()
        events += new
    return events


def test_the_handshake_answers_and_echoes() -> None:
    session = PublisherSession(NONCE)
    theirs = bytes(range(256)) * 6
    assert session.receive(b"\x03" + theirs[:1000]) == []
    assert session.take_output() == b""
    session.receive(theirs[1000:])
    assert session.take_output() == b"\x03" + bytes(8) + NONCE + theirs


def test_a_publication_of_obs_comes_out_as_it_went_in() -> None:
    """Chunks of 4096 bytes, short headers, audio in the middle of video, times beyond 4.6 h."""
    chunker = Chunker()
    messages = frames(40, first_ms=0xFFFFFF - 500, size=20_000)
    data = HELLO + HELLO_AGAIN + chunker.set_chunk_bytes(4096) + chunker.bytes_of(opening())
    done: list[Sent] = [messages[0]]
    data += chunker.bytes_of(messages[:1])
    for video, audio in zip(messages[1::2], messages[2::2], strict=True):
        pictures, sounds = chunker.chunks(video), chunker.chunks(audio)
        data += b"".join((*pictures[:2], *sounds, *pictures[2:]))
        done += [audio, video]
    data += chunker.bytes_of(closing())
    cuts = [random.Random(1).randrange(len(data)) for _ in range(500)]
    expected = [Publish("live", "key"), *as_media(done), End(is_clean=True)]
    assert everything(data, cuts) == expected


def test_nothing_after_publish_is_read_until_it_is_accepted() -> None:
    chunker, session = Chunker(), PublisherSession(NONCE)
    ahead = frames(2)
    data = HELLO + HELLO_AGAIN + chunker.bytes_of([*opening(), *ahead])
    assert session.receive(data) == [Publish("live", "key")]
    assert b"Publish.Start" not in session.take_output()
    assert session.accept() == as_media(ahead)
    assert b"NetStream.Publish.Start" in session.take_output()


def test_a_refused_publisher_is_told_and_says_nothing_more() -> None:
    chunker, session = Chunker(), PublisherSession(NONCE)
    session.receive(HELLO + HELLO_AGAIN + chunker.bytes_of(opening("wrong")))
    session.take_output()
    session.refuse()
    told = session.take_output()
    assert b"NetStream.Publish.BadName" in told
    assert b"wrong" not in told
    assert session.receive(chunker.bytes_of(frames(3))) == []
    assert session.connection_lost() == []


def test_the_key_is_in_no_text_of_a_publish() -> None:
    publish = Publish("live/secret", "secret?token=secret", "198.51.100.7")
    assert "secret" not in repr(publish)
    assert publish.stream_key == "secret"


@pytest.mark.parametrize("goodbye", ["FCUnpublish", "deleteStream", "closeStream"])
def test_each_goodbye_is_a_clean_end(goodbye: str) -> None:
    chunker = Chunker()
    session = session_that_publishes(chunker)
    end = chunker.bytes_of([command(goodbye, 6, None, 1)])
    assert session.receive(end) == [End(is_clean=True)]
    assert session.connection_lost() == []


def test_a_connection_that_closes_without_goodbye_is_no_clean_end() -> None:
    session = session_that_publishes(Chunker())
    (end,) = session.connection_lost()
    assert isinstance(end, End)
    assert not end.is_clean


def test_received_bytes_are_acknowledged_at_the_clients_window() -> None:
    chunker = Chunker()
    session = session_that_publishes(chunker)
    window = chunker.bytes_of([Sent(2, 5, 0, struct.pack(">I", 10_000), 0)])
    session.receive(window)
    session.take_output()
    sent = 1 + 2 * 1536 + len(Chunker().bytes_of(opening())) + len(window)
    acknowledged = []
    for message in frames(9):
        data = chunker.bytes_of([message])
        session.receive(data)
        sent += len(data)
        if output := session.take_output():
            assert output[:12] == b"\x02" + bytes(3) + b"\0\0\x04\x03" + bytes(4)
            assert output[12:] == struct.pack(">I", sent)
            acknowledged.append(sent)
    gaps = [later - earlier for earlier, later in pairwise(acknowledged)]
    assert len(gaps) > 2
    assert all(10_000 <= gap < 16_000 for gap in gaps)


def test_a_ping_is_answered() -> None:
    session = session_that_publishes(Chunker())
    session.receive(Chunker().bytes_of([Sent(2, 4, 0, b"\0\x06\1\2\3\4", 0)]))
    assert session.take_output().endswith(b"\0\x07\1\2\3\4")


def test_commands_and_data_of_amf3_are_understood() -> None:
    chunker = Chunker()
    commands = [Sent(3, 17, 0, b"\0" + sent.payload, sent.stream_id) for sent in opening()]
    data = Sent(4, 15, 9, b"\0" + amf("onMetaData", {"a": 1}))
    events = everything(HELLO + HELLO_AGAIN + chunker.bytes_of([*commands, data]), [])
    assert events == [
        Publish("live", "key"),
        Media(MediaKind.DATA, 9, amf("onMetaData", {"a": 1})),
    ]


def test_an_aggregate_message_is_taken_apart() -> None:
    session = session_that_publishes(Chunker())

    def tag(type_id: int, time_ms: int, body: bytes) -> bytes:
        low = struct.pack(">I", time_ms)[1:]
        size = struct.pack(">I", len(body))
        return bytes([type_id]) + size[1:] + low + bytes(4) + body + bytes(4)

    payload = tag(VIDEO, 7000, b"picture") + tag(AUDIO, 7021, b"sound")
    assert session.receive(Chunker().bytes_of([Sent(7, 22, 100, payload)])) == [
        Media(MediaKind.VIDEO, 100, b"picture"),
        Media(MediaKind.AUDIO, 121, b"sound"),
    ]


def test_an_aggregate_of_very_many_messages_is_refused() -> None:
    session = session_that_publishes(Chunker())
    tag = bytes([VIDEO, 0, 0, 1]) + bytes(7) + b"x" + bytes(4)
    events = session.receive(Chunker().bytes_of([Sent(7, 22, 0, tag * 10_000)]))
    assert len(events) < 5_000
    assert isinstance(events[-1], End)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        HELLO + HELLO_AGAIN + Chunker().bytes_of([command("publish", 1, None, "key")]),
        HELLO + HELLO_AGAIN + Chunker().bytes_of([command("connect", 1, {"nothing": 1})]),
        HELLO + HELLO_AGAIN + Chunker().bytes_of(opening("")),
        HELLO + HELLO_AGAIN + Chunker().bytes_of(opening("k" * 1025)),
        HELLO + HELLO_AGAIN + Chunker().bytes_of([*opening()[:1], command("play", 2, None, "key")]),
        HELLO + HELLO_AGAIN + Chunker().bytes_of([Sent(3, VIDEO, 0, bytes(70_000))]),
        HELLO + HELLO_AGAIN + Chunker().bytes_of([Sent(3, DATA, 0, bytes(9_000))] * 30),
    ],
    ids=(
        *("HTTP", "publish before connect", "no app", "no key", "a long key", "play"),
        *("a large message before publish", "much before publish"),
    ),
)
def test_who_does_not_come_to_publish_is_ended(data: bytes) -> None:
    (end,) = everything(data, [])
    assert isinstance(end, End)
    assert not end.is_clean
    assert "key" not in end.reason.removeprefix("a publish without a stream key")


def test_a_second_publish_ends_the_session() -> None:
    chunker = Chunker()
    session = session_that_publishes(chunker)
    (end,) = session.receive(chunker.bytes_of(opening()[-1:]))
    assert isinstance(end, End)
    assert not end.is_clean


def test_what_came_before_an_error_is_kept() -> None:
    chunker = Chunker()
    session = session_that_publishes(chunker)
    media = frames(2)
    events = session.receive(chunker.bytes_of(media) + b"\xff" * 20)
    assert events[:-1] == as_media(media)
    assert isinstance(events[-1], End)


@examples(max_examples=150)
@given(st.binary(max_size=300), st.integers(0, 2**32), st.sampled_from(["commands", "publishing"]))
def test_arbitrary_bytes_never_raise(junk: bytes, seed: int, when: str) -> None:
    chunker, dice = Chunker(), random.Random(seed)
    start = HELLO + HELLO_AGAIN + (chunker.bytes_of(opening()) if when == "publishing" else b"")
    longer = junk + dice.randbytes(dice.randrange(3000))
    for event in everything(start + longer, [dice.randrange(4000) for _ in range(5)]):
        assert isinstance(event, Publish | Media | End)


@examples(max_examples=100)
@given(st.integers(0, 2**32))
def test_a_damaged_publication_never_raises(seed: int) -> None:
    chunker, dice = Chunker(), random.Random(seed)
    messages = [*opening(), *frames(3, size=600), *closing()]
    data = bytearray(HELLO + HELLO_AGAIN + chunker.bytes_of(messages))
    for _ in range(dice.randrange(1, 6)):
        data[dice.randrange(len(HELLO) + len(HELLO_AGAIN), len(data))] = dice.randrange(256)
    for event in everything(bytes(data), [dice.randrange(len(data)) for _ in range(9)]):
        assert isinstance(event, Publish | Media | End)


def test_who_waits_for_an_answer_cannot_fill_the_memory() -> None:
    chunker, session = Chunker(), PublisherSession(NONCE)
    session.receive(HELLO + HELLO_AGAIN + chunker.bytes_of(opening()))
    events = session.receive(bytes(MAX_UNKNOWN_BYTES + 1))
    assert [type(event) for event in events] == [End]
