"""Messages out of chunks: every header form, interleaved, cut anywhere, and within bounds."""

from __future__ import annotations

import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from aethex.media.rtmp.chunks import ChunkReader, Message, write_chunks
from aethex.media.rtmp.events import MAX_MESSAGE_BYTES, BadRtmp
from tests.media.rtmp.encoder import AUDIO, VIDEO, Chunker, Sent, basic

CHUNK_STREAMS = (3, 4, 63, 64, 319, 320, 65599)
EXTENDED = 0xFFFFFF
TIMES = st.one_of(
    st.integers(0, 2000),
    st.integers(EXTENDED - 3, EXTENDED + 3),
    st.sampled_from([2**31, 2**32 - 1]),
)
SENT = st.builds(
    Sent,
    chunk_stream=st.sampled_from(CHUNK_STREAMS),
    type_id=st.sampled_from([8, 9, 18, 20]),
    time_ms=TIMES,
    payload=st.binary(max_size=6).flatmap(
        lambda start: st.integers(0, 700).map(lambda size: (start + bytes(700))[:size])
    ),
)


def received(messages: list[Sent]) -> list[tuple[int, int, int, bytes]]:
    return [(sent.type_id, sent.stream_id, sent.time_ms, sent.payload) for sent in messages]


def read(data: bytes, *, cuts: list[int] | None = None) -> list[tuple[int, int, int, bytes]]:
    """Everything that a reader makes of the data, fed in pieces."""
    reader, messages = ChunkReader(MAX_MESSAGE_BYTES), []
    edges = [0, *sorted(cuts or []), len(data)]
    for start, end in pairwise(edges):
        reader.feed(data[start:end])
        while (message := reader.next_message()) is not None:
            messages.append(message)
    assert reader.waiting_bytes == 0
    return [(m.type_id, m.stream_id, m.timestamp_ms, m.payload) for m in messages]


@examples(max_examples=80)
@given(st.lists(SENT, max_size=12), st.randoms(use_true_random=False), st.booleans())
def test_any_messages_in_any_chunks_cut_anywhere_come_out_the_same(
    messages: list[Sent], dice: random.Random, repeats_extended: bool
) -> None:
    chunker = Chunker(128, repeats_extended, form=dice.choice)
    data, done = chunker.set_chunk_bytes(dice.choice([1, 2, 7, 64, 128, 4096])), []
    waiting: dict[int, list[tuple[Sent, list[bytes]]]] = {}
    for message in messages:
        chunks = chunker.chunks(message)
        waiting.setdefault(message.chunk_stream, []).append((message, chunks))
    while waiting:  # one chunk of any chunk stream after the other
        queue = waiting[dice.choice(sorted(waiting))]
        message, chunks = queue[0]
        data += chunks.pop(0)
        if not chunks:
            done.append(message)
            queue.pop(0)
            waiting = {stream: queue for stream, queue in waiting.items() if queue}
    # Without repeated times the end of the data may be ambiguous, so something follows.
    last = Sent(9, AUDIO, 0, b"the last one")
    data, done = data + chunker.bytes_of([last]), [*done, last]
    cuts = [dice.randrange(len(data) + 1) for _ in range(dice.randrange(40))]
    assert read(data, cuts=cuts) == received(done)


@pytest.mark.parametrize("chunk_bytes", [1, 128, 4096, 1 << 20])
@pytest.mark.parametrize("time_ms", [40, EXTENDED + 40])
@pytest.mark.parametrize("repeats_extended", [True, False])
def test_a_large_message_comes_out_whole_at_every_chunk_size(
    chunk_bytes: int, time_ms: int, repeats_extended: bool
) -> None:
    payload = random.Random(chunk_bytes).randbytes(30_001)
    chunker = Chunker(128, repeats_extended)
    data = chunker.set_chunk_bytes(chunk_bytes)
    messages = [Sent(6, VIDEO, time_ms + number * 33, payload) for number in range(3)]
    data += chunker.bytes_of(messages)
    assert read(data) == received(messages)
    assert read(data, cuts=list(range(0, len(data), 1460))) == received(messages)


def test_audio_in_the_middle_of_a_video_message_comes_out_first() -> None:
    chunker = Chunker(4096)
    data = chunker.set_chunk_bytes(4096)
    video, audio = Sent(6, VIDEO, 33, bytes(50_000)), Sent(4, AUDIO, 30, b"sound" * 60)
    pictures, sounds = chunker.chunks(video), chunker.chunks(audio)
    data += b"".join((*pictures[:5], *sounds, *pictures[5:]))
    assert read(data) == received([audio, video])


def test_an_aborted_message_is_forgotten() -> None:
    chunker = Chunker(128)
    begun = chunker.chunks(Sent(6, VIDEO, 0, bytes(1000)))[:3]
    abort = chunker.chunks(Sent(2, 2, 0, (6).to_bytes(4, "big"), 0))
    whole = Sent(6, VIDEO, 7, b"x" * 300)
    assert read(b"".join((*begun, *abort)) + chunker.bytes_of([whole])) == received([whole])


def test_our_own_chunks_are_read_back() -> None:
    messages = [
        Message(20, 1, time_ms, bytes(range(256)) * 40) for time_ms in (0, EXTENDED, 2**32 - 1)
    ]
    data = b"".join(write_chunks(message, 5, 128) for message in messages)
    assert read(data) == [(m.type_id, m.stream_id, m.timestamp_ms, m.payload) for m in messages]


@pytest.mark.parametrize(
    "data",
    [
        Chunker().bytes_of([Sent(2, 1, 0, bytes(4), 0)]),
        Chunker().bytes_of([Sent(2, 1, 0, b"\x80\0\0\0", 0)]),
        basic(3, 9) + bytes(9),
        Chunker().chunks(Sent(6, VIDEO, 0, bytes(300)))[0] + b"\x06" + bytes(11),
        Chunker().bytes_of([Sent(number, VIDEO, 0, b"x") for number in range(3, 70)]),
    ],
    ids=(
        *("a chunk size of 0", "a chunk size of 2^31", "a type 3 header first"),
        *("a message in a message", "too many chunk streams"),
    ),
)
def test_what_breaks_the_protocol_is_refused(data: bytes) -> None:
    with pytest.raises(BadRtmp):
        read(data)


def peak_bytes_of(pieces: list[bytes], limit: int) -> tuple[int, str]:
    """The most memory that a reader took for them, and what it refused, if it did."""
    reader = ChunkReader(limit)
    tracemalloc.start()
    try:
        for piece in pieces:
            reader.feed(piece)
            while reader.next_message() is not None:
                pass
        return tracemalloc.get_traced_memory()[1], ""
    except BadRtmp as error:
        return tracemalloc.get_traced_memory()[1], str(error)
    finally:
        tracemalloc.stop()


def test_unfinished_messages_never_hold_more_than_one_messages_limit() -> None:
    limit, chunker = 1 << 20, Chunker()
    pieces = [chunker.set_chunk_bytes(64 * 1024)]
    for number in range(3, 60):
        pieces += chunker.chunks(Sent(number, VIDEO, 0, bytes(limit)))[:1]
    peak_bytes, refused = peak_bytes_of(pieces, limit)
    assert "unfinished" in refused
    assert peak_bytes < 2 * limit


def test_a_claimed_length_allocates_nothing() -> None:
    chunker = Chunker()
    largest = Sent(3, VIDEO, 0, bytes(MAX_MESSAGE_BYTES - 1))
    pieces = [chunker.set_chunk_bytes(1 << 24), chunker.chunks(largest)[0][:100]]
    peak_bytes, refused = peak_bytes_of(pieces, MAX_MESSAGE_BYTES)
    assert not refused
    assert peak_bytes < 1 << 16
