"""Who sends: crawlers are told from people's browsers, and tokens are remembered for a moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from aethex.library import Channel, Library, channels, tokens
from aethex.service.ingest import senders as module
from aethex.service.ingest.senders import TOKEN_SECONDS, Sender, Senders, crawler_of
from aethex.service.ingest.viewers import ViewerIds
from aethex.service.problems import Problem
from aethex.settings import Settings

_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
_ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X)"
_IPAD = "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

BROWSERS = [
    *(f"{system} {_BLINK} Safari/537.36" for system in (_WINDOWS, _MAC, _LINUX)),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_BLINK} Safari/537.36",
    f"{_ANDROID} {_BLINK} Mobile Safari/537.36",
    f"{_IPHONE} {_WEBKIT} CriOS/144.0.7559.53 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (Android 16; Mobile; rv:147.0) Gecko/147.0 Firefox/147.0",
    f"{_IPHONE} {_WEBKIT} FxiOS/147.0 Mobile/15E148 Safari/605.1.15",
    f"{_MAC} {_WEBKIT} Version/26.2 Safari/605.1.15",
    f"{_IPHONE} {_WEBKIT} Version/26.2 Mobile/15E148 Safari/604.1",
    f"{_IPAD} {_WEBKIT} Version/26.2 Mobile/15E148 Safari/604.1",
    f"{_WINDOWS} {_BLINK} Safari/537.36 Edg/144.0.0.0",
    f"{_MAC} {_BLINK} Safari/537.36 Edg/144.0.0.0",
    f"{_ANDROID} {_BLINK} Mobile Safari/537.36 EdgA/144.0.0.0",
    f"{_IPHONE} {_WEBKIT} Version/26.0 EdgiOS/144.0.3719.82 Mobile/15E148 Safari/604.1",
    f"{_WINDOWS} {_BLINK} Safari/537.36 OPR/127.0.0.0",
    f"{_ANDROID} AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0"
    " Mobile Safari/537.36",
    # a link that was opened in an app, and televisions
    f"{_IPHONE} {_WEBKIT} Mobile/23B85 Instagram 407.0.0.29.76 (iPhone17,1; iOS 26_1; en_US)",
    "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) discord/1.0.9219"
    " Chrome/138.0.7204.251 Electron/37.6.0 Safari/537.36",
    "Mozilla/5.0 (SMART-TV; LINUX; Tizen 9.0) AppleWebKit/537.36 (KHTML, like Gecko)"
    " 120.0.6099.5/9.0 TV Safari/537.36",
]

CRAWLERS = {
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    f"{_ANDROID} {_BLINK} Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/"
    "bot.html)": "Googlebot",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)": "bingbot",
    f"{_LINUX} AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/144.0.0.0 Safari/537.36": (
        "HeadlessChrome"
    ),
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
    "+https://openai.com/gptbot)": "GPTBot",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)": "Discordbot",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": (
        "facebookexternalhit"
    ),
    "Twitterbot/1.0": "Twitterbot",
    "curl/8.11.0": "curl",
    "python-requests/2.32.3": "python-requests",
}


@pytest.mark.parametrize("browser", BROWSERS)
def test_peoples_browsers_are_no_crawlers(browser: str) -> None:
    assert crawler_of(browser) is None


@pytest.mark.parametrize(("agent", "name"), CRAWLERS.items())
def test_crawlers_are_named(agent: str, name: str) -> None:
    found = crawler_of(agent)
    assert found is not None
    assert name.lower() in found.lower()


@pytest.mark.parametrize("agent", ["", " ", "\t \n"])
def test_who_says_nothing_of_itself_is_no_browser(agent: str) -> None:
    assert crawler_of(agent) == "no user agent"


@given(st.text(max_size=200))
def test_a_crawlers_name_is_short_and_plain(agent: str) -> None:
    for found in (crawler_of(agent), crawler_of(f"Googlebot {agent}")):
        assert found is None or (0 < len(found) <= 64 and found.isascii() and found.isprintable())


def test_only_the_beginning_of_a_user_agent_is_looked_at_and_kept() -> None:
    """A header may be made as long as to keep the service busy with it, and its cache full."""
    module._crawler_of.cache_clear()
    beginning = BROWSERS[0].ljust(512)
    for end in ("", "Googlebot/2.1", "x" * 1_000_000):
        assert crawler_of(beginning + end) is None
    assert module._crawler_of.cache_info().currsize == 1
    assert crawler_of(beginning[:490] + " Googlebot/2.1") == "Googlebot"


# --- tokens ---------------------------------------------------------------------------------------

SETTINGS = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]


class Asked:
    """Senders on a clock of the test's, and how often they asked the library."""

    def __init__(self, library: Library) -> None:
        self.now = 1000.0
        self.times = 0
        self.senders = Senders(library, ViewerIds(b"key"), SETTINGS, clock=lambda: self.now)
        look_up = self.senders._look_up

        def counted(text: str) -> Any:
            self.times += 1
            return look_up(text)

        self.senders._look_up = counted

    def sender(self, authorization: str) -> Sender:
        headers = [(b"authorization", authorization.encode())]
        scope = {"type": "http", "headers": headers, "query_string": b"", "client": ("::1", 1)}
        return asyncio.run(self.senders.of(Request(scope)))

    def is_refused(self, authorization: str) -> bool:
        try:
            self.sender(authorization)
        except Problem as problem:
            return problem.status == 401 and "WWW-Authenticate" in problem.headers
        return False


@pytest.fixture
def asked(library: Library) -> Asked:
    return Asked(library)


@pytest.fixture
def channel(library: Library) -> Channel:
    with library.session() as s:
        return channels.ensure_channel(s, "gdq")


def test_a_token_says_whose_it_is(asked: Asked, library: Library, channel: Channel) -> None:
    with library.session() as s:
        mine, text = tokens.create(s, "the channel's", channel.id)
        ours, platform_text = tokens.create(s, "the platform's", None)
    sender = asked.sender(f"Bearer {text}")
    assert (sender.name, sender.channel_id, sender.is_server) == (mine.id, channel.id, True)
    assert not sender.is_platform
    sender = asked.sender(f"bearer {platform_text}")
    assert (sender.name, sender.channel_id, sender.is_platform) == (ours.id, None, True)


def test_the_library_is_asked_for_a_token_every_few_seconds(asked: Asked, library: Library) -> None:
    with library.session() as s:
        token, text = tokens.create(s, "relay", None)
    for _ in range(3):
        asked.sender(f"Bearer {text}")
    assert asked.times == 1
    with library.session() as s:
        tokens.revoke(s, token.id, token.created_at)
    asked.now += TOKEN_SECONDS - 0.1
    assert not asked.is_refused(f"Bearer {text}")
    asked.now += 0.1
    assert asked.is_refused(f"Bearer {text}")
    assert asked.times == 2
    assert asked.is_refused(f"Bearer {text}")
    assert asked.times == 2  # that it is none is remembered, too


def test_only_the_latest_tokens_are_remembered(asked: Asked, library: Library) -> None:
    asked.senders._tokens = module._Remembered(3)
    with library.session() as s:
        _, text = tokens.create(s, "relay", None)
    for number in range(10):
        assert asked.is_refused(f"Bearer aethex_{number}")
        asked.now += TOKEN_SECONDS
        asked.sender(f"Bearer {text}")  # asked for again, so it is the latest
        assert len(asked.senders._tokens) <= 3
    before = asked.times
    asked.sender(f"Bearer {text}")
    assert asked.times == before


def test_a_text_far_too_long_is_refused_without_being_kept(asked: Asked) -> None:
    assert asked.is_refused("Bearer " + "x" * 10_000)
    assert asked.times == 0
    assert not asked.senders._tokens
