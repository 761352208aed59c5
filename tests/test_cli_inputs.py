"""`aethex inputs …` and `aethex webhooks …`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from aethex.library import Library, inbox, inputs, live
from aethex.library.channels import ensure_channel
from aethex.providers import WEBHOOKS
from aethex.service import inbox as service_inbox
from aethex.settings import Settings
from tests.commands import Commands, Outcome
from tests.provider_apis import (
    ACCOUNT,
    CLOUDFLARE_KEY,
    MUX_KEY,
    TOKEN,
    TOKEN_ID,
    ProviderApis,
    provider_apis,
)
from tests.providers import hooks
from tests.providers.hooks import Hook, with_secrets

NOW = datetime(2026, 1, 30, 19, 0, tzinfo=UTC)
KEY = re.compile(r"^[A-Za-z0-9_-]{32}$", re.MULTILINE)
TOKENS = {
    "cloudflare_account_id": ACCOUNT,
    "cloudflare_api_token": TOKEN,
    "mux_token_id": TOKEN_ID,
    "mux_token_secret": TOKEN,
}


@pytest.fixture
def aethex(tmp_path: Path, database_url: str, library: Library) -> Commands:
    """The command, on a library with a channel."""
    with library.session() as s:
        ensure_channel(s, "gdq")
    return Commands(tmp_path / "data", database_url, TOKENS)


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderApis]:
    with provider_apis() as server:
        monkeypatch.setattr("aethex.providers.cloudflare_stream.API_URL", server.url)
        monkeypatch.setattr("aethex.providers.mux.API_URL", server.url)
        yield server


def keep(library: Library, settings: Settings, *sent: Hook) -> None:
    """Put webhooks into the inbox and apply none."""
    for hook in sent:
        source = WEBHOOKS[hook.provider].from_settings(with_secrets(settings))
        assert source is not None
        with library.session() as s:
            service_inbox.keep(s, source, *service_inbox.read(source, hook.sent()), NOW)


def good(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.stderr
    return outcome.stdout


def is_stored(library: Library, secret: str) -> bool:
    with library.session() as s:
        rows = s.scalars(text("select t::text from channel_inputs t")).all()
    assert rows
    return any(secret in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["rtmp"], "rtmp://localhost:1935/live"),
        (["srt"], "srt://localhost:PORT?mode=caller&passphrase=KEY"),
        (["srs", "live/gdq"], "rtmp://<your SRS>/live/gdq?key=KEY"),
        (["mediamtx", "gdq"], "rtmp://<your MediaMTX>/gdq?key=KEY"),
        (["nginx_rtmp", "live/gdq"], "rtmp://<your nginx>/live/gdq?key=KEY"),
    ],
)
def test_a_stream_key_is_printed_once_and_only_its_digest_is_stored(
    aethex: Commands, library: Library, arguments: list[str], address: str
) -> None:
    printed = good(aethex("inputs", "add", "gdq", *arguments, "--name", "Studio"))
    (key,) = KEY.findall(printed)
    assert address in printed
    assert not is_stored(library, key)
    with library.session() as s:
        found = inputs.by_stream_key(s, arguments[0], key)
        assert inputs.by_stream_key(s, arguments[0], key + "x") is None
        assert inputs.by_stream_key(s, "another", key) is None
    assert found is not None
    assert found.name == "Studio"
    listed = good(aethex("inputs", "list", "--channel", "gdq"))
    assert found.id in listed
    assert key not in listed


def test_another_stream_key_takes_the_place_of_the_first(
    aethex: Commands, library: Library
) -> None:
    (first,) = KEY.findall(good(aethex("inputs", "add", "gdq", "rtmp")))
    with library.session() as s:
        [added] = inputs.list_inputs(s)
    (second,) = KEY.findall(good(aethex("inputs", "rotate", added.id)))
    with library.session() as s:
        assert inputs.by_stream_key(s, "rtmp", first) is None
        found = inputs.by_stream_key(s, "rtmp", second)
        other = inputs.add_input(s, added.channel_id, "mux", "live1").id
    assert found is not None
    assert "is mux's: change it there" in aethex("inputs", "rotate", other).stderr


def test_a_pulled_input_has_an_address_and_no_key(aethex: Commands, library: Library) -> None:
    url = "https://1.1.1.1/live/index.m3u8"
    printed = good(aethex("inputs", "add", "gdq", "pull", "--pull", url))
    assert not KEY.search(printed)
    with library.session() as s:
        [found] = inputs.list_inputs(s)
    assert (found.pull_url, found.key_digest, found.external_id) == (url, None, found.id)


def test_an_input_is_made_at_cloudflare_with_recording_switched_on(
    aethex: Commands, library: Library, apis: ProviderApis
) -> None:
    printed = good(aethex("inputs", "add", "gdq", "cloudflare", "--create", "--name", "Studio"))
    assert "rtmps://live.cloudflare.com:443/live/" in printed
    assert CLOUDFLARE_KEY in printed
    assert not is_stored(library, CLOUDFLARE_KEY)
    [(_, body)] = apis.asked
    assert body == {"meta": {"name": "Studio"}, "recording": {"mode": "automatic"}}
    with library.session() as s:
        found = inputs.by_external_id(s, "cloudflare", "66be4bf738797e01e1fca35a7bdecdcd")
    assert found is not None
    assert found.is_recorded_by_provider


def test_a_stream_whose_end_nobody_told_is_ended_by_hand(
    aethex: Commands, library: Library, settings: Settings
) -> None:
    good(aethex("inputs", "add", "gdq", "cloudflare", "in1"))
    [added] = service_inputs(library)
    keep(library, settings, hooks.cloudflare_live("connected", "in1", NOW))
    service_inbox.apply_waiting(library, service_inbox.utc_now)
    assert "aethex inputs end" in aethex("inputs", "remove", added).stderr
    assert "has ended" in good(aethex("inputs", "end", added))
    assert "No stream is live" in aethex("inputs", "end", added).stderr
    keep(library, settings, hooks.cloudflare_live("disconnected", "in1", NOW))  # it comes after all
    service_inbox.apply_waiting(library, service_inbox.utc_now)
    with library.session() as s:
        stream = live.last_streams(s, [added])[added]
    assert (stream.status, stream.started_at) == ("ended", NOW)
    good(aethex("inputs", "remove", added))
    good(aethex("inputs", "add", "gdq", "rtmp"))
    [ours] = service_inputs(library)
    assert "The recorder ends it" in aethex("inputs", "end", ours).stderr


def service_inputs(library: Library) -> list[str]:
    with library.session() as s:
        return [one.id for one in inputs.list_inputs(s)]


@pytest.mark.parametrize("seconds", [-1, 100_000])
def test_nothing_is_made_at_the_provider_for_an_input_that_cannot_be_added(
    aethex: Commands, library: Library, apis: ProviderApis, seconds: int
) -> None:
    options = ("--create", f"--reconnect-seconds={seconds}")
    for provider in ("mux", "cloudflare"):
        refused = aethex("inputs", "add", "gdq", provider, *options)
        assert f"A reconnect window of {seconds} s cannot be" in refused.stderr
    assert apis.asked == []
    with library.session() as s:
        assert inputs.list_inputs(s) == []


def test_an_input_is_made_at_mux_with_the_same_reconnect_window(
    aethex: Commands, library: Library, apis: ProviderApis
) -> None:
    options = ("--create", "--reconnect-seconds", 120)
    printed = good(aethex("inputs", "add", "gdq", "mux", *options))
    assert "rtmps://global-live.mux.com:443/app" in printed
    assert MUX_KEY in printed
    assert not is_stored(library, MUX_KEY)
    good(aethex("inputs", "add", "gdq", "cloudflare", "--create", "--we-record"))
    (_, mux), (_, cloudflare) = apis.asked
    assert mux["reconnect_window"] == 120
    assert mux["new_asset_settings"]["playback_policies"] == ["public"]
    assert cloudflare["recording"] == {"mode": "off"}
    with library.session() as s:
        one, other = inputs.list_inputs(s)
    assert (one.reconnect_seconds, one.is_recorded_by_provider) == (120, True)
    assert not other.is_recorded_by_provider


@pytest.mark.parametrize(
    ("arguments", "more", "error"),
    [
        (["nobody", "rtmp"], {}, "no channel 'nobody'"),
        (
            ["gdq", "vimeo"],
            {},
            "'vimeo' is no provider of inputs: give rtmp, srt, pull, cloudflare,",
        ),
        (["gdq", "srs"], {}, "needs the id that srs knows it by"),
        (["gdq", "pull"], {}, "needs an address"),
        (["gdq", "pull", "--pull", "file:///etc/passwd"], {}, "cannot be pulled: give an address"),
        (
            ["gdq", "mediamtx", "gdq", "--pull", "rtmp://127.0.0.1/gdq"],
            {},
            "127.0.0.1 leads to 127.0.0.1, which is no public address",
        ),
        (["gdq", "rtmp"], {"rtmp_port": "0"}, "RTMP is not taken here: set AETHEX_RTMP_PORT"),
        (["gdq", "rtmp", "--reconnect-seconds", "-1"], {}, "give 0 to 86400"),
        (["gdq", "mux", "--create"], {"mux_token_id": ""}, "needs AETHEX_MUX_TOKEN_ID and"),
        (
            ["gdq", "mux", "--create"],
            {"mux_token_secret": "wrong"},
            "Mux answered 401: Unauthorized request. Check the token",
        ),
        (
            ["gdq", "cloudflare", "--create"],
            {"cloudflare_api_token": "wrong"},
            "Cloudflare answered 403: Authentication error. Check the token",
        ),
    ],
)
def test_what_cannot_be_is_named_with_the_remedy_and_adds_nothing(
    aethex: Commands,
    library: Library,
    apis: ProviderApis,
    arguments: list[str],
    more: dict[str, str],
    error: str,
) -> None:
    command = Commands(aethex.data_dir, aethex.database_url, TOKENS | more)
    outcome = command("inputs", "add", *arguments)
    assert outcome.code == 1
    assert error in outcome.stderr
    assert "wrong" not in outcome.stderr
    assert apis.asked == []
    with library.session() as s:
        assert inputs.list_inputs(s) == []


def test_an_answer_without_an_input_adds_none(
    aethex: Commands, library: Library, apis: ProviderApis
) -> None:
    apis.is_broken = True
    outcome = aethex("inputs", "add", "gdq", "mux", "--create")
    assert outcome.code == 1
    assert "Mux's answer names no input" in outcome.stderr
    with library.session() as s:
        assert inputs.list_inputs(s) == []


def test_adding_an_input_applies_what_waited_for_it(
    aethex: Commands, library: Library, settings: Settings
) -> None:
    video = {"uid": "in1", "status": {"state": "ready"}, "readyToStream": True}
    keep(
        library,
        settings,
        hooks.cloudflare_live("connected", "in1", NOW),
        hooks.cloudflare_live("connected", "in2", NOW),
        hooks.cloudflare_video(video),
    )
    assert "2 webhooks that waited" in good(aethex("inputs", "add", "gdq", "cloudflare", "in1"))
    with library.session() as s:
        [added] = inputs.list_inputs(s)
        stream = live.live_stream(s, added.id)
    assert stream is not None
    assert "since 19:00" in good(aethex("inputs", "list"))


def test_an_input_with_a_live_stream_stays_and_one_without_goes(
    aethex: Commands, library: Library
) -> None:
    good(aethex("inputs", "add", "gdq", "cloudflare", "in1"))
    with library.session() as s:
        [added] = inputs.list_inputs(s)
        live.signal(s, added.id, "connected", NOW, "1", NOW)
    outcome = aethex("inputs", "remove", added.id)
    assert outcome.code == 1
    assert "is live on input" in outcome.stderr
    with library.session() as s:
        live.signal(s, added.id, "ended", NOW, "2", NOW)
    good(aethex("inputs", "remove", added.id))
    assert "There are no inputs yet" in good(aethex("inputs", "list"))
    assert "There is no input" in aethex("inputs", "remove", added.id).stderr


def test_webhooks_are_listed_shown_and_replayed(
    aethex: Commands, library: Library, settings: Settings
) -> None:
    assert "no such webhooks" in good(aethex("webhooks", "list"))
    keep(
        library,
        settings,
        hooks.mux_live("active", "live1", NOW),
        hooks.srs("on_play"),
        hooks.srs("on_publish"),
    )
    with library.session() as s:
        mux, play, publish = inbox.by_ids(s, inbox.select_ids(s))
        channel = ensure_channel(s, "gdq")
        added = inputs.add_input(s, channel.id, "srs", "live/gdq").id
    listed = good(aethex("webhooks", "list", "--provider", "srs", "--state", "ignored"))
    assert play.id in listed
    assert publish.id not in listed
    shown = good(aethex("webhooks", "show", publish.id))
    assert '"stream": "gdq"' in shown
    assert hooks.STREAM_KEY not in shown
    replayed = good(aethex("webhooks", "replay"))
    assert re.search(r"applied\s+1\b.*ignored\s+1\b.*waiting\s+1\b", replayed, re.DOTALL)
    with library.session() as s:
        stream = live.live_stream(s, added)
        assert stream is not None
    assert re.search(r"applied\s+1\b", good(aethex("webhooks", "replay", publish.id)))
    with library.session() as s:
        assert inbox.get(s, mux.id).state == "waiting"
        again = live.live_stream(s, added)
        assert again is not None
        assert again.id == stream.id
    assert re.search(r"webhooks\s+0\b", good(aethex("webhooks", "replay", "--since", "2027-01-01")))
    assert "There is no webhook x" in aethex("webhooks", "show", "x").stderr
    assert "There is no webhook x" in aethex("webhooks", "replay", "x").stderr


def test_a_webhook_is_shown_as_json_that_can_be_read_again(
    aethex: Commands, library: Library, settings: Settings
) -> None:
    title = "a title with many words " * 10
    hook = hooks.owncast("STREAM_STARTED", NOW, streamTitle=title)
    keep(library, settings, hook)
    listed = good(aethex("webhooks", "list"))
    shown = good(aethex("webhooks", "show", re.findall(r"hook_\w+", listed)[0]))
    assert json.loads(shown[shown.index("\n{") :])["eventData"]["streamTitle"] == title


def test_what_a_publisher_calls_its_stream_is_nothing_that_a_terminal_obeys(
    aethex: Commands, library: Library, settings: Settings
) -> None:
    keep(library, settings, hooks.srs("on_publish", stream="a\x1b[2Jb\x9b31mc\rd"))
    listed = good(aethex("webhooks", "list"))
    assert "live/a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}31mc" in listed
    assert not set(listed) & {"\x1b", "\x9b", "\r"}


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--provider", "cloudflare-stream", "is no provider of webhooks: give cloudflare, mux"),
        ("--since", "9999-12-31T23:59:59-12:00", "is not a time"),
        ("--since", "0001-01-01T00:00:00+12:00", "is not a time"),
    ],
)
@pytest.mark.parametrize("command", ["list", "replay"])
def test_a_choice_of_webhooks_that_cannot_be_is_used_wrongly(
    aethex: Commands, command: str, option: str, value: str, says: str
) -> None:
    outcome = aethex("webhooks", command, option, value)
    assert outcome.code == 2
    assert says in " ".join(outcome.stderr.replace("│", " ").split())


def test_no_setting_shows_its_secret() -> None:
    settings = Settings(_env_file=None, mux_token_secret=SecretStr("hush"))  # pyright: ignore
    assert "hush" not in repr(settings)
