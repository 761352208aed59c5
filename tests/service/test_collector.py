"""The collector's minute, against a local Cloudflare Stream: what is counted, and what is not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import ClassVar, Self

import httpx
import pytest

from aethex.lake import Lake
from aethex.library import Library
from aethex.providers import Provider
from aethex.service import collector as module
from aethex.service.collector import Collector, Polled
from aethex.service.metrics import Metrics
from aethex.settings import Settings
from aethex.store import Store
from tests.cloudflare import BAD_ANSWERS, cloudflare
from tests.service.collecting import MINUTE, Collectors, add_stream, published_samples, tell
from tests.service.sending import landed

NEXT = datetime(2026, 1, 30, 19, 5, tzinfo=UTC)


def viewers_of(polled: list[Polled]) -> dict[str, int | None]:
    return {one.of.external_id: one.viewers for one in polled}


def test_what_a_provider_counts_lands_under_its_minute(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    one, other = add_stream(library, "abc"), add_stream(library, "def")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 113)
            asked.count("def", 0)
            await collectors.of(asked).poll(NEXT)
            asked.count("abc", 120)
            await collectors.of(asked).poll(NEXT + MINUTE)

    tell(story())
    assert published_samples(lake) == [
        (one, "19:05:00", "cloudflare", 113),
        (one, "19:06:00", "cloudflare", 120),
        (other, "19:05:00", "cloudflare", 0),
        (other, "19:06:00", "cloudflare", 0),
    ]


def test_only_live_streams_with_an_input_of_a_provider_we_have_are_polled(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    live = add_stream(library, "abc")
    add_stream(library, "over", status="ended")
    add_stream(library, "soon", status="scheduled")
    add_stream(library, "elsewhere", provider="mux")
    add_stream(library, None)

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 5)
            await collectors.of(asked).poll(NEXT)
            assert asked.asked == ["abc"]

    tell(story())
    assert published_samples(lake) == [(live, "19:05:00", "cloudflare", 5)]


def test_a_minute_without_live_streams_lands_nothing(
    collectors: Collectors, folder_store: Store
) -> None:
    async def story() -> None:
        async with cloudflare() as asked:
            assert await collectors.of(asked).poll(NEXT) == []

    tell(story())
    assert list(folder_store.list("landing")) == []


def test_an_inputs_id_is_one_part_of_the_address(collectors: Collectors, library: Library) -> None:
    add_stream(library, "../a b?c#d/e")

    async def story() -> None:
        async with cloudflare() as asked:
            await collectors.of(asked).poll(NEXT)
            assert asked.asked == ["..%2Fa%20b%3Fc%23d%2Fe"]

    tell(story())


# --- side by side ---------------------------------------------------------------------------------


def test_all_are_asked_before_any_has_answered(collectors: Collectors, library: Library) -> None:
    ids = [f"input-{n}" for n in range(30)]
    for one in ids:
        add_stream(library, one)

    async def story() -> None:
        async with cloudflare() as asked:
            answers = asyncio.Event()
            for number, one in enumerate(ids):
                asked.count(one, number, after=answers)
            polling = asyncio.create_task(collectors.of(asked).poll(NEXT))
            await asked.until_asked(len(ids))
            assert not polling.done()
            answers.set()
            assert viewers_of(await polling) == {one: n for n, one in enumerate(ids)}

    tell(story())


def test_no_more_are_asked_at_once_than_may_be(
    collectors: Collectors, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLLS_AT_ONCE", 3)
    for number in range(8):
        add_stream(library, f"input-{number}")

    async def story() -> None:
        async with cloudflare() as asked:
            answers = asyncio.Event()
            for number in range(8):
                asked.count(f"input-{number}", number, after=answers)
            polling = asyncio.create_task(collectors.of(asked).poll(NEXT))
            await asked.until_asked(3)
            answers.set()
            assert len(await polling) == 8
            assert asked.most_at_once == 3

    tell(story())


# --- polls that fail ------------------------------------------------------------------------------


def test_bad_answers_are_samples_without_a_count_and_harm_no_other(
    collectors: Collectors, library: Library, folder_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    streams = {what: add_stream(library, f"bad-{n}") for n, what in enumerate(BAD_ANSWERS)}
    good = add_stream(library, "good")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("good", 7)
            asked.answers |= {f"bad-{n}": bad for n, bad in enumerate(BAD_ANSWERS.values())}
            await collectors.of(asked).poll(NEXT)
            assert asked.asked.count("good") == 1  # a redirect to it is not followed

    tell(story())
    samples = {
        row["stream_id"]: (row["payload"]["source"], row["payload"]["viewers"])
        for row in landed(folder_store)
    }
    unknown = dict.fromkeys(streams.values(), ("cloudflare", None))
    assert samples == unknown | {good: ("cloudflare", 7)}
    assert len(caplog.messages) == len(streams)
    for stream in streams.values():
        assert caplog.text.count(stream) == 1
    text = collectors.metrics.render().decode()
    failed = f'aethex_viewer_polls_total{{provider="cloudflare",result="failed"}} {len(streams)}.0'
    assert failed in text
    assert 'aethex_viewer_polls_total{provider="cloudflare",result="counted"} 1.0' in text


def test_a_failed_poll_is_in_the_table_without_a_count(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    stream = add_stream(library, "abc")

    async def story() -> None:
        async with cloudflare() as asked:
            await collectors.of(asked).poll(NEXT)

    tell(story())
    assert published_samples(lake) == [(stream, "19:05:00", "cloudflare", None)]


def test_one_that_does_not_answer_in_time_is_given_up_and_the_others_are_not(
    collectors: Collectors,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 2.0)
    add_stream(library, "good")
    add_stream(library, "silent")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("good", 7)
            asked.count("silent", 8, after=asyncio.Event())
            assert viewers_of(await collectors.of(asked).poll(NEXT)) == {"good": 7, "silent": None}
            await asked.until_left()

    tell(story())
    assert "cloudflare did not answer in time." in caplog.text
    assert "Traceback" not in caplog.text


def test_who_answers_slowly_has_as_long_as_is_said(
    collectors: Collectors, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """httpx has a limit of its own, 5 s, which must not be the one that counts."""
    add_stream(library, "slow")
    seen: list[httpx.Timeout] = []

    class Watched(httpx.AsyncClient):
        async def get(self, *args, **options):
            seen.append(self.timeout)
            return await super().get(*args, **options)

    monkeypatch.setattr(httpx, "AsyncClient", Watched)

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("slow", 1)
            await collectors.of(asked).poll(NEXT)

    tell(story())
    assert seen == [httpx.Timeout(None)]


def test_polls_whose_turn_does_not_come_within_the_minute_failed(
    collectors: Collectors, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLLS_AT_ONCE", 1)
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.3)
    for number in range(5):
        add_stream(library, f"silent-{number}")

    async def story() -> None:
        async with cloudflare() as asked:
            for number in range(5):
                asked.count(f"silent-{number}", 1, after=asyncio.Event())
            polled = await collectors.of(asked).poll(NEXT)
            assert [one.viewers for one in polled] == [None] * 5
            assert len(asked.asked) <= 1

    tell(story())


class Broken:
    """A provider with a defect that nobody thought of."""

    name: ClassVar[str] = "broken"

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:  # noqa: ARG003
        return None

    async def count_viewers(self, http: httpx.AsyncClient, external_id: str) -> int:  # noqa: ARG002
        return 1 // 0


def test_a_defect_of_one_provider_harms_no_other_and_is_told_with_its_place(
    settings: Settings,
    library: Library,
    folder_store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_stream(library, "abc")
    add_stream(library, "def", provider="broken")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 3)
            ours = settings.model_copy(update={"cloudflare_stream_url": asked.url})
            providers: dict[str, Provider] = {**module.configured_providers(ours)}
            providers["broken"] = Broken()
            polling = Collector(ours, library, folder_store, Metrics(), providers=providers)
            assert viewers_of(await polling.poll(NEXT)) == {"abc": 3, "def": None}

    tell(story())
    assert "1 // 0" in caplog.text


@pytest.mark.parametrize("address", ["customer-x.cloudflarestream.com", "http://customer-x:port"])
def test_a_setting_that_is_no_address_is_named(
    settings: Settings,
    library: Library,
    folder_store: Store,
    caplog: pytest.LogCaptureFixture,
    address: str,
) -> None:
    add_stream(library, "abc")
    wrong = settings.model_copy(update={"cloudflare_stream_url": address})
    polled: list[Polled] = []

    async def story() -> None:
        polled.extend(await Collector(wrong, library, folder_store, Metrics()).poll(NEXT))

    tell(story())
    assert viewers_of(polled) == {"abc": None}
    assert "AETHEX_CLOUDFLARE_STREAM_URL" in caplog.text
