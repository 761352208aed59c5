"""Cloudflare Stream's viewer counts: a number, or one line that says why there is none."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from aethex.providers import ProviderError, configured_providers
from aethex.providers.cloudflare_stream import CloudflareStream
from aethex.settings import Settings
from tests.cloudflare import BAD_ANSWERS, Answer, cloudflare


def count(answer: Answer, *, ending: str = "") -> int:
    """What the provider makes of that answer of the input `abc`."""

    async def ask() -> int:
        async with cloudflare() as asked, httpx.AsyncClient(trust_env=False) as http:
            asked.answers["abc"] = answer
            return await CloudflareStream(asked.url + ending).count_viewers(http, "abc")

    return asyncio.run(ask())


@pytest.mark.parametrize("viewers", [0, 1, 113, 2**53])
def test_viewers_are_what_it_counts(viewers: int) -> None:
    assert count(Answer(b'{"liveViewers":%d}' % viewers)) == viewers
    assert count(Answer(b'{"more": [1], "liveViewers": %d}' % viewers)) == viewers


def test_the_address_may_end_with_a_slash() -> None:
    assert count(Answer(b'{"liveViewers":113}'), ending="/") == 113


@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_is_one_line_that_names_the_provider_and_the_input(bad: Answer) -> None:
    with pytest.raises(ProviderError) as refused:
        count(bad)
    message = str(refused.value)
    assert message.startswith("Cloudflare Stream")
    assert "abc" in message
    assert "\n" not in message


def test_nobody_at_the_address_is_an_error_of_the_provider() -> None:
    async def ask() -> int:
        async with cloudflare() as gone:
            pass
        async with httpx.AsyncClient(trust_env=False) as http:
            return await CloudflareStream(gone.url).count_viewers(http, "abc")

    with pytest.raises(ProviderError, match="did not answer for input abc"):
        asyncio.run(ask())


def test_it_is_asked_where_its_address_is_set(settings_without_parts: Settings) -> None:
    assert configured_providers(settings_without_parts) == {}
    url = "https://customer-x.cloudflarestream.com"
    found = configured_providers(
        settings_without_parts.model_copy(update={"cloudflare_stream_url": url})
    )
    assert list(found) == ["cloudflare"]


@pytest.fixture
def settings_without_parts() -> Settings:
    """Settings alone: no database is needed."""
    return Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
