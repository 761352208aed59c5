"""What nobody can apply, or anybody can make up, neither waits for ever nor fills the inbox."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from aethex.library import (
    InvalidValue,
    Library,
    WebhookEvent,
    inputs,
    live,
    provider_recordings,
    settling,
)
from aethex.library import inbox as library_inbox
from aethex.library.holds import Holds
from aethex.library.models import ChannelInput
from aethex.service import inbox
from aethex.workers.recorder.desk import Desk
from tests.providers import hooks
from tests.providers.hooks import Hook
from tests.service.telling import HOUR, LATER, START, add

MINUTE = timedelta(minutes=1)

ABSURD_SECONDS = 2**53 - 1
LONG = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(1500))
"""As good as random: no index takes it, however it is packed."""


def events(library: Library) -> list[WebhookEvent]:
    with library.session() as s:
        return [*library_inbox.by_ids(s, library_inbox.select_ids(s))]


@pytest.mark.parametrize(
    ("hook", "input_id"),
    [
        (hooks.cloudflare_video({"uid": "v1", "liveInput": "in1", "duration": 2**53 - 1}), "in1"),
        (hooks.mux_asset("ready", START, duration=ABSURD_SECONDS, recording_times=[]), "live1"),
        (
            hooks.mediamtx("segmentComplete", segment_path="/1.mp4", segment_duration="9e15"),
            "gdq",
        ),
        (hooks.mux_live("active", "live1", START, reconnect_window=ABSURD_SECONDS), "live1"),
    ],
)
def test_a_length_that_nothing_has_is_as_if_it_was_not_said(
    library, channel, take, hook: Hook, input_id: str
):
    add(library, channel, hook.provider, input_id)
    take(hook)
    [event] = events(library)
    assert (event.state, event.attempts) == ("applied", 0)


def failing_with(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [OverflowError("date value out of range"), InvalidValue("no")])
def test_what_can_never_be_applied_is_ignored_and_a_replay_tries_it_again(
    library, channel, take, monkeypatch, error: Exception
):
    add(library, channel, "mux", "live1")
    with monkeypatch.context() as patched:
        patched.setattr(live, "signal", failing_with(error))
        take(hooks.mux_live("active", "live1", START))
        [event] = events(library)
        assert (event.state, event.note) == (
            "ignored",
            f"given up: {type(error).__name__}: {error}",
        )
        assert inbox.apply_waiting(library, lambda: LATER) == 0
    assert inbox.apply(library, event.id, LATER, again=True) == "applied"


def test_what_the_database_refuses_to_hold_is_ignored_too(library, channel, take, monkeypatch):
    def too_large(s: Session, *_: Any, **__: Any) -> None:
        s.execute(update(ChannelInput).values(reconnect_seconds=2**40))

    add(library, channel, "mux", "live1")
    monkeypatch.setattr(live, "signal", too_large)
    take(hooks.mux_live("active", "live1", START))
    assert [one.state for one in events(library)] == ["ignored"]


def test_any_other_failure_waits_but_not_for_ever(library, channel, take, monkeypatch):
    add(library, channel, "mux", "live1")
    monkeypatch.setattr(live, "signal", failing_with(OperationalError("", {}, Exception("lock"))))
    monkeypatch.setattr(library_inbox, "MOST_ATTEMPTS", 3)
    take(hooks.mux_live("active", "live1", START))
    states = [events(library)[0].state]
    for _ in range(3):
        inbox.apply_waiting(library, lambda: LATER)
        states.append(events(library)[0].state)
    assert states == ["waiting", "waiting", "ignored", "ignored"]


@pytest.mark.parametrize(
    "hook",
    [
        hooks.mediamtx("available", path=LONG),
        hooks.srs("on_publish", stream=LONG),
        hooks.srs("on_dvr", cwd="/rec", file=LONG),
        hooks.nginx("publish", name=LONG),
        hooks.nginx("record_done", path=LONG),
        hooks.mux_live("active", LONG, START),
        hooks.cloudflare_live("connected", LONG, START),
        hooks.cloudflare_video({"uid": LONG}),
    ],
    ids=lambda hook: hook.provider,
)
def test_an_id_that_is_too_long_is_ignored_with_the_reason(library, take, hook: Hook):
    take(hook)
    [event] = events(library)
    assert (event.state, event.external_id, event.recording_id) == ("ignored", None, None)
    assert " at most." in event.note
    assert inbox.apply(library, event.id, LATER, again=True) == "ignored"


@pytest.mark.parametrize(
    "hook",
    [
        hooks.mediamtx("available", source_id=LONG),
        hooks.mux_live("active", "gdq", START, event_id=LONG),
        hooks.owncast("STREAM_STARTED", event_id=LONG),
    ],
    ids=lambda hook: hook.provider,
)
def test_an_event_of_a_long_id_of_its_own_is_applied_once(library, channel, take, hook: Hook):
    add(library, channel, hook.provider, "gdq")
    take(hook, hook)
    [event] = events(library)
    assert event.state == "applied"
    assert inbox.apply(library, event.id, LATER, again=True) == "applied"


def test_of_made_up_names_the_newest_are_kept_and_an_input_that_is_added_soon_has_its_stream(
    library, channel, take, monkeypatch
):
    monkeypatch.setattr(inbox, "MOST_NAMES", 3)
    monkeypatch.setattr(inbox, "MOST_OF_A_NAME", 2)
    mapped = add(library, channel, "srs", "live/mapped")
    take(hooks.srs("on_publish", stream="mapped"), at=START)
    take(hooks.mux_live("active", "of no publisher", START), at=START)
    for n in range(5):
        take(hooks.srs("on_publish", stream=f"name{n}"), at=START + n * MINUTE)
    for n in range(4):
        take(hooks.srs("on_publish", stream="name3", client_id=f"{n}"), at=START + HOUR)
        take(hooks.srs("on_unpublish", stream="name3", client_id=f"{n}"), at=START + HOUR)
    assert inbox.forget_unmapped(library) == 2 + 3 + 2
    assert inbox.forget_unmapped(library) == 0
    kept = [one.external_id for one in events(library)]
    assert kept == ["live/mapped", "of no publisher", "live/name2", "live/name4"] + 4 * [
        "live/name3"
    ]
    added = add(library, channel, "srs", "live/name4")
    inbox.apply_waiting(library, lambda: LATER)
    with library.session() as s:
        assert live.live_stream(s, added) is not None
        assert live.live_stream(s, mapped) is not None


@pytest.mark.parametrize(
    "made_up",
    [
        lambda n: hooks.nginx("publish", name="", clientid=f"{n}"),
        lambda n: hooks.nginx("publish", name=f"{LONG}{n}"),
        lambda n: hooks.srs("on_publish", stream=LONG[n:]),
        lambda n: hooks.srs("on_play", client_id=f"{n}"),
    ],
)
def test_of_what_says_nothing_here_one_a_minute_is_kept(library, take, made_up):
    for n in range(20):
        take(made_up(n), at=START + timedelta(seconds=n * 2.9))
    assert [one.state for one in events(library)] == ["ignored"]
    take(made_up(21), at=START + 2 * MINUTE)
    assert len(events(library)) == 2


def test_a_stream_that_cannot_be_ended_holds_up_no_other(library, channel, take, monkeypatch):
    broken, whole = (add(library, channel, "mux", name) for name in ("broken", "whole"))
    for name in ("broken", "whole"):
        for kind, at in (("active", START), ("disconnected", LATER)):
            take(hooks.mux_live(kind, name, at, event_id=f"{name} {kind}"))
    settle = live.settle

    def settle_but_one(s: Session, input_id: str, now: datetime) -> Any:
        if input_id == broken:
            raise RuntimeError("a bug of ours")
        return settle(s, input_id, now)

    with monkeypatch.context() as patched:
        patched.setattr(live, "settle", settle_but_one)
        [ended] = settling.end_due(library, LATER + HOUR)
        assert ended.input_id == whole
    assert [one.input_id for one in settling.end_due(library, LATER + HOUR)] == [broken]


def test_a_stream_that_the_recorder_ends_gives_back_the_recording_of_a_later_one(
    settings, library, channel, take
):
    """While a reconnect is awaited nobody knows that the recording is not this stream's."""
    with library.session() as s:
        inputs.add_input(s, channel.id, "nginx_rtmp", "live/gdq", reconnect_seconds=7200)
    take(hooks.nginx("publish"), at=START)
    take(hooks.nginx("publish_done"), at=START + HOUR)
    take(hooks.nginx("record_done", path="/rec/gdq.flv"), at=START + 2 * HOUR)

    def stream_id() -> str | None:
        with library.session() as s:
            found = provider_recordings.get(s, "nginx_rtmp", "/rec/gdq.flv")
        assert found is not None
        return found.stream_id

    assert stream_id() is not None
    with closing(Holds(settings)) as holds:
        Desk(settings, library, holds, lambda: START + 4 * HOUR).settle()
    assert stream_id() is None
