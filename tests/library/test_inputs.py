"""Channels' inputs, and the live streams that come in by them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from aethex.library import Channel, InvalidValue, Library, Stream, StreamStatus, channels, new_id
from aethex.library.inputs import LiveInput, add_input, live_inputs
from tests.library.conftest import START, until_somebody_waits_for_a_lock


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


def test_an_input_is_one_channels(library: Library, channel: Channel) -> None:
    with library.session() as s:
        other = channels.ensure_channel(s, "other")
        first = add_input(s, channel.id, "cloudflare", " abc\n")
        assert (first.id[:4], first.external_id) == ("inp_", "abc")
        for of in (channel, other):
            with pytest.raises(InvalidValue, match="abc of cloudflare is there already"):
                add_input(s, of.id, "cloudflare", "abc")
        assert add_input(s, other.id, "mux", "abc").id != first.id


def test_of_two_that_add_it_at_once_one_is_refused(library: Library, channel: Channel) -> None:
    def add_too() -> None:
        with library.session() as s:
            add_input(s, channel.id, "cloudflare", "abc")

    with ThreadPoolExecutor(1) as pool:
        with library.session() as s:
            add_input(s, channel.id, "cloudflare", "abc")
            second = pool.submit(add_too)
            until_somebody_waits_for_a_lock(library)
        with pytest.raises(InvalidValue, match="abc of cloudflare is there already"):
            second.result(30)


@pytest.mark.parametrize(
    ("provider", "external_id"),
    [("Cloudflare", "abc"), ("", "abc"), ("a b", "abc"), ("x" * 41, "abc"), ("cloudflare\n", "a")],
)
def test_a_name_that_is_no_providers_is_refused(
    library: Library, channel: Channel, provider: str, external_id: str
) -> None:
    with library.session() as s:
        with pytest.raises(InvalidValue, match="cannot be a provider"):
            add_input(s, channel.id, provider, external_id)
        add_input(s, channel.id, "cloudflare", external_id)  # the transaction still stands


@pytest.mark.parametrize("external_id", ["", "  ", "a\0b", "x" * 301])
def test_an_id_that_is_no_text_is_refused(
    library: Library, channel: Channel, external_id: str
) -> None:
    with library.session() as s, pytest.raises(InvalidValue, match="input's id"):
        add_input(s, channel.id, "cloudflare", external_id)


def test_live_streams_are_listed_with_their_inputs(library: Library, channel: Channel) -> None:
    with library.session() as s:
        one = add_input(s, channel.id, "cloudflare", "abc").id
        other = add_input(s, channel.id, "mux", "def").id
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
