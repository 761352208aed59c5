"""Channels' inputs, and the live streams that come in by them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from aethex.library import Channel, InvalidValue, Library, Stream, StreamStatus, channels, new_id
from aethex.library.inputs import LiveInput, ensure_input, live_inputs
from tests.library.conftest import START


def add_stream(library: Library, channel: Channel, status: StreamStatus, input_id: str | None):
    with library.session() as s:
        stream = Stream(
            id=new_id("st"),
            channel_id=channel.id,
            title="A stream",
            status=status,
            input_id=input_id,
            started_at=None if status == "scheduled" else START,
            ended_at=START if status == "ended" else None,
        )
        s.add(stream)
    return stream.id


def test_an_input_is_made_once(library: Library, channel: Channel) -> None:
    with library.session() as s:
        first = ensure_input(s, channel.id, "cloudflare", "abc")
        assert first.id.startswith("inp_")
        assert ensure_input(s, channel.id, "cloudflare", "abc").id == first.id
        assert ensure_input(s, channel.id, "mux", "abc").id != first.id


def test_spaces_around_its_id_are_nobodys(library: Library, channel: Channel) -> None:
    with library.session() as s:
        found = ensure_input(s, channel.id, "cloudflare", " abc\n")
        assert found.external_id == "abc"
        assert ensure_input(s, channel.id, "cloudflare", "abc").id == found.id


def test_two_that_make_it_at_once_get_the_same(library: Library, channel: Channel) -> None:
    both = Barrier(2)

    def make(_: int) -> str:
        with library.session() as s:
            both.wait()
            return ensure_input(s, channel.id, "cloudflare", "abc").id

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(make, range(2)))) == 1


def test_another_channels_input_is_refused_by_name(library: Library, channel: Channel) -> None:
    with library.session() as s:
        other = channels.ensure_channel(s, "other")
        ensure_input(s, other.id, "cloudflare", "abc")
        with pytest.raises(InvalidValue, match="abc of cloudflare belongs to another channel"):
            ensure_input(s, channel.id, "cloudflare", "abc")


@pytest.mark.parametrize(
    ("provider", "external_id"),
    [("Cloudflare", "abc"), ("", "abc"), ("a b", "abc"), ("x" * 41, "abc"), ("cloudflare\n", "a")],
)
def test_a_name_that_is_no_providers_is_refused(
    library: Library, channel: Channel, provider: str, external_id: str
) -> None:
    with library.session() as s:
        with pytest.raises(InvalidValue, match="cannot be a provider"):
            ensure_input(s, channel.id, provider, external_id)
        ensure_input(s, channel.id, "cloudflare", external_id)  # the transaction still stands


@pytest.mark.parametrize("external_id", ["", "  ", "a\0b", "x" * 301])
def test_an_id_that_is_no_text_is_refused(
    library: Library, channel: Channel, external_id: str
) -> None:
    with library.session() as s, pytest.raises(InvalidValue, match="input's id"):
        ensure_input(s, channel.id, "cloudflare", external_id)


def test_live_streams_are_listed_with_their_inputs(library: Library, channel: Channel) -> None:
    with library.session() as s:
        one = ensure_input(s, channel.id, "cloudflare", "abc").id
        other = ensure_input(s, channel.id, "mux", "def").id
    first = add_stream(library, channel, "live", one)
    second = add_stream(library, channel, "live", other)
    add_stream(library, channel, "ended", one)
    add_stream(library, channel, "scheduled", one)
    add_stream(library, channel, "live", None)
    with library.session() as s:
        assert live_inputs(s) == [
            LiveInput(first, channel.id, "cloudflare", "abc"),
            LiveInput(second, channel.id, "mux", "def"),
        ]
