"""Tokens of media addresses: only ours, only unchanged, only in time."""

from __future__ import annotations

import multiprocessing
import stat
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from aethex.service.media_tokens import (
    GRACE_SECONDS,
    ROUNDING_SECONDS,
    BadToken,
    MediaTokens,
)
from aethex.settings import Settings

VOD = "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"
PREFIX = "vods/ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC/st_01JH2V5Q8ZK3M4N5P6Q7R8S9TB/"
ALPHABET = string.ascii_letters + string.digits + "-_"
NOW = 1_800_000_000.0
TOKENS = MediaTokens(b"a key for tests, long enough")


def issued(now: float = NOW, duration_seconds: float = 60) -> str:
    return TOKENS.issue(vod_id=VOD, prefix=PREFIX, duration_seconds=duration_seconds, now=now)


def reason(token: str, now: float = NOW) -> str:
    with pytest.raises(BadToken) as refused:
        TOKENS.read(token, now=now)
    return refused.value.reason


def test_a_token_says_what_it_was_made_for() -> None:
    grant = TOKENS.read(issued(), now=NOW)
    assert (grant.vod_id, grant.prefix, grant.audience) == (VOD, PREFIX, "public")


@given(now=st.floats(1e9, 4e9), duration=st.floats(0, 1e6))
def test_a_token_outlives_the_video_by_six_hours_and_by_twelve_at_most(
    now: float, duration: float
) -> None:
    left = TOKENS.read(issued(now, duration), now=now).expires_at.timestamp() - now
    assert duration + GRACE_SECONDS <= left + 1e-6
    assert left <= duration + GRACE_SECONDS + ROUNDING_SECONDS + 1e-6


def test_the_token_stays_the_same_for_hours_so_that_caches_work() -> None:
    assert (
        len({issued(NOW - NOW % ROUNDING_SECONDS + 61 + hour * 3600, 0) for hour in range(5)}) == 1
    )


def test_a_token_ends_at_its_expiry() -> None:
    token = issued()
    expiry = TOKENS.read(token, now=NOW).expires_at.timestamp()
    assert TOKENS.read(token, now=expiry - 1).vod_id == VOD
    assert reason(token, now=expiry) == "expired"


def test_a_token_can_stand_in_an_address_as_it_is() -> None:
    assert set(issued()) <= set(ALPHABET)


@given(position=st.integers(0, 10_000), replacement=st.characters())
def test_a_token_with_any_character_changed_is_refused(position: int, replacement: str) -> None:
    token = issued()
    index = position % len(token)
    changed = token[:index] + replacement + token[index + 1 :]
    if changed != token:
        assert reason(changed) == "invalid"


@given(length=st.integers(0, 10_000))
def test_a_truncated_token_is_refused(length: int) -> None:
    token = issued()
    assert reason(token[: length % len(token)]) == "invalid"


@given(extra=st.text(min_size=1))
def test_a_token_with_something_added_is_refused(extra: str) -> None:
    assert reason(issued() + extra) == "invalid"
    assert reason(extra + issued()) == "invalid"


@given(text=st.text())
def test_text_that_is_no_token_is_refused(text: str) -> None:
    assert reason(text) == "invalid"


@pytest.mark.parametrize("stream", ["st_1", "st_12", "st_123"])
def test_other_spellings_of_the_same_bytes_are_refused(stream: str) -> None:
    # base64 leaves bits of the last character unused, and decoders skip what is not in its alphabet
    token = TOKENS.issue(vod_id=VOD, prefix=f"vods/ch_1/{stream}/", duration_seconds=60, now=NOW)
    assert TOKENS.read(token, now=NOW).vod_id == VOD
    others = [token[:-1] + last for last in ALPHABET if last != token[-1]]
    others += [token[:9] + "!" + token[9:], f"{token}=", f"{token}==", f" {token}", f"{token}\n"]
    assert {reason(other) for other in others} == {"invalid"}


def test_a_token_of_another_key_is_refused() -> None:
    other = MediaTokens(b"another key, long enough too")
    forged = other.issue(vod_id=VOD, prefix=PREFIX, duration_seconds=60, now=NOW)
    assert reason(forged) == "invalid"


@pytest.mark.parametrize(
    ("vod_id", "prefix"),
    [
        ("vod|1|public", PREFIX),
        ("", PREFIX),
        (VOD, "vods/../../"),
        (VOD, "vods/ch/st"),
        (VOD, "marts/ch/st/"),
        (VOD, "vods/ch|x/st/"),
    ],
)
def test_no_token_is_made_for_what_the_store_cannot_hold(vod_id: str, prefix: str) -> None:
    with pytest.raises(ValueError, match="no media address"):
        TOKENS.issue(vod_id=vod_id, prefix=prefix, duration_seconds=1)


def test_a_short_key_is_refused_with_the_settings_name() -> None:
    with pytest.raises(ValueError, match="AETHEX_MEDIA_SECRET"):
        MediaTokens(b"short")


def test_the_key_of_the_settings_is_used(tmp_path: Path) -> None:
    secret = SecretStr("a secret that is long enough")
    settings = Settings(_env_file=None, data_dir=tmp_path, media_secret=secret)  # pyright: ignore[reportCallIssue]
    token = MediaTokens.from_settings(settings).issue(vod_id=VOD, prefix=PREFIX, duration_seconds=1)
    assert MediaTokens(b"a secret that is long enough").read(token).vod_id == VOD
    assert list(tmp_path.iterdir()) == []


def _token_of_a_process(data_dir: str, ready: object, go: object, out: object) -> None:
    settings = Settings(_env_file=None, data_dir=Path(data_dir))  # pyright: ignore[reportCallIssue]
    ready.release()  # pyright: ignore[reportAttributeAccessIssue]
    go.wait()  # pyright: ignore[reportAttributeAccessIssue]
    tokens = MediaTokens.from_settings(settings)
    out.put(tokens.issue(vod_id=VOD, prefix=PREFIX, duration_seconds=60, now=NOW))  # pyright: ignore[reportAttributeAccessIssue]


def test_processes_that_start_at_once_make_one_key_that_only_its_owner_reads(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("fork")
    ready, go, out = context.Semaphore(0), context.Event(), context.Queue()
    data_dir = tmp_path / "data"
    starting = [
        context.Process(target=_token_of_a_process, args=(str(data_dir), ready, go, out))
        for _ in range(6)
    ]
    for process in starting:
        process.start()
    for _ in starting:
        ready.acquire()
    go.set()
    made = {out.get(timeout=60) for _ in starting}
    for process in starting:
        process.join()
    assert len(made) == 1
    assert [path.name for path in data_dir.iterdir()] == ["media_secret"]
    assert stat.S_IMODE((data_dir / "media_secret").stat().st_mode) == 0o600
