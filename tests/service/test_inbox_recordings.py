"""Recordings that providers tell of: whole in any order, and whose they are by their time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from aethex.library import Library, ProviderRecording, Stream, inputs, provider_recordings
from aethex.library import inbox as library_inbox
from aethex.library.channels import ensure_channel
from aethex.providers import WEBHOOKS
from aethex.service import inbox
from tests.providers import hooks
from tests.providers.hooks import with_secrets
from tests.service.telling import HOUR, LATER, START, add
from tests.supervise.platform import eventually


def recording(library: Library, provider: str, external_id: str) -> ProviderRecording:
    with library.session() as s:
        found = provider_recordings.get(s, provider, external_id)
    assert found is not None
    return found


def as_values(row: ProviderRecording) -> dict[str, Any]:
    left_out = ("id", "created_at", "stream_id", "_sa_instance_state")
    return {name: value for name, value in vars(row).items() if name not in left_out}


def test_what_mux_tells_of_an_asset_is_whole_in_any_order(library, channel, take):
    files = {"files": [{"name": "high.mp4", "filesize": "123"}]}
    told = [
        hooks.mux_live("active", "live1", START),
        hooks.mux_asset("ready", START + HOUR / 60, is_live=True, duration=40.0),
        hooks.mux_live("idle", "live1", START + HOUR),
        hooks.mux_asset("live_stream_completed", START + HOUR),
        hooks.mux_asset("static_renditions.ready", START + 2 * HOUR, static_renditions=files),
    ]
    add(library, channel, "mux", "live1")
    seen = []
    for order in permutations(told):
        take(*order)
        found = recording(library, "mux", "asset1")
        assert found.stream_id is not None
        assert (found.state, found.duration_seconds) == ("ready", 3600.5)
        assert found.mp4_url == "https://stream.mux.com/pub1/high.mp4"
        seen.append(as_values(found))
        if len(seen) == 12:
            break
        with library.session() as s:
            for row in library_inbox.by_ids(s, library_inbox.select_ids(s)):
                s.delete(row)
            s.delete(found)
    assert all(one == seen[0] for one in seen)


def test_a_reconnect_in_the_window_that_mux_has_continues_the_stream(library, channel, take):
    """The input was made in Mux' dashboard, with another window than ours; one asset is of both."""
    add(library, channel, "mux", "live1")
    times = [("active", 0), ("disconnected", 600), ("active", 800), ("idle", 3600)]
    for order in permutations(times):
        for event, seconds in order:
            at = START + timedelta(seconds=seconds)
            take(hooks.mux_live(event, "live1", at, reconnect_window=300))
        with library.session() as s:
            [stream] = s.scalars(select(Stream))
            assert (stream.started_at, stream.ended_at) == (START, START + HOUR)
            for row in [*library_inbox.by_ids(s, library_inbox.select_ids(s))]:
                s.delete(row)
            s.execute(text("delete from input_signals"))
            s.execute(text("update channel_inputs set reconnect_seconds = 60"))
            s.delete(stream)


@pytest.mark.parametrize(
    ("told", "title"),
    [
        (" Speed\n\trun ", "Speed run"),
        ("".join(chr(0x4E00 + n) for n in range(1990)), None),  # no index takes all of it
        ("\u200b\u202e", "gdq, 30 January 2026, 18:00"),
    ],
)
def test_a_providers_title_is_fitted_to_be_one(library, channel, take, told, title):
    add(library, channel, "owncast", "gdq")
    take(hooks.owncast("STREAM_STARTED", at=START, streamTitle=told))
    with library.session() as s:
        [stream] = s.scalars(select(Stream))
    assert stream.title == (title or told[:250])


def test_an_event_without_a_time_happened_when_it_came(library, channel, take):
    add(library, channel, "owncast", "gdq")
    take(hooks.owncast("STREAM_STARTED", timestamp="0001-01-01T00:00:00Z"))
    with library.session() as s:
        [event] = library_inbox.by_ids(s, library_inbox.select_ids(s))
        assert (event.state, event.at) == ("applied", LATER)


def test_an_asset_that_is_ready_while_live_is_pending(library, channel, take):
    add(library, channel, "mux", "live1")
    take(hooks.mux_asset("ready", START, is_live=True))
    assert recording(library, "mux", "asset1").state == "pending"
    with library.session() as s:
        assert provider_recordings.ready(s) == []
    take(hooks.mux_live("active", "live1", START), hooks.mux_asset("live_stream_completed", LATER))
    with library.session() as s:
        [found] = provider_recordings.ready(s)
    assert found.external_id == "asset1"


def test_a_recording_that_comes_before_its_stream_finds_it_later(library, channel, take):
    added = add(library, channel, "cloudflare", "in1")
    video = {
        "uid": "v1",
        "liveInput": "in1",
        "status": {"state": "ready"},
        "readyToStream": True,
        "created": (START + timedelta(seconds=20)).isoformat(),
        "playback": {"hls": "https://customer-x.cloudflarestream.com/v1/manifest/video.m3u8"},
    }
    take(hooks.cloudflare_video(video))
    first = recording(library, "cloudflare", "v1")
    assert (first.input_id, first.stream_id, first.is_to_look_up) == (added, None, False)
    take(
        hooks.cloudflare_live("connected", "in1", START),
        hooks.cloudflare_live("disconnected", "in1", START + HOUR),
    )
    found = recording(library, "cloudflare", "v1")
    assert found.stream_id is not None
    with library.session() as s:
        assert [one.id for one in provider_recordings.of_stream(s, found.stream_id)] == [found.id]


def test_a_cloudflare_video_that_is_an_inputs_id_is_to_be_looked_up(library, channel, take):
    added = add(library, channel, "cloudflare", "in1")
    take(hooks.cloudflare_video({"uid": "in1", "status": {"state": "ready"}}))
    found = recording(library, "cloudflare", "in1")
    assert (found.input_id, found.is_to_look_up) == (added, True)


@pytest.mark.parametrize("is_input_named", [True, False])
@pytest.mark.parametrize("is_added_late", [True, False])
def test_cloudflare_videos_that_are_all_told_by_their_inputs_id_are_each_of_its_stream(
    library, channel, take, is_input_named, is_added_late
):
    if not is_added_late:
        add(library, channel, "cloudflare", "in1")
    named = {"liveInput": "in1"} if is_input_named else {}
    for begin in (START, START + 3 * HOUR):
        video = {"uid": "in1", "status": {"state": "ready"}, "created": begin.isoformat()} | named
        modified = (begin + HOUR).isoformat()
        take(
            hooks.cloudflare_live("connected", "in1", begin),
            hooks.cloudflare_live("disconnected", "in1", begin + HOUR),
            hooks.cloudflare_video(video | {"readyToStream": True, "modified": modified}),
            hooks.cloudflare_video(
                video | {"readyToStream": True, "modified": modified, "size": 1}
            ),
        )
    if is_added_late:
        add(library, channel, "cloudflare", "in1")
        inbox.apply_for_input(library, "cloudflare", "in1", lambda: LATER)
    with library.session() as s:
        streams = [one.id for one in s.scalars(select(Stream).order_by(Stream.started_at))]
        found = [provider_recordings.of_stream(s, one) for one in streams]
    assert [[(one.started_at, one.is_to_look_up) for one in of] for of in found] == [
        [(START, True)],
        [(START + 3 * HOUR, True)],
    ]


def test_a_recording_of_nobodys_input_waits_for_it(library, channel, take):
    take(hooks.nginx("record_done", path="/rec/gdq.flv"))
    with library.session() as s:
        assert provider_recordings.get(s, "nginx_rtmp", "/rec/gdq.flv") is None
    add(library, channel, "nginx_rtmp", "live/gdq")
    assert inbox.apply_waiting(library, lambda: LATER) == 1
    assert recording(library, "nginx_rtmp", "/rec/gdq.flv").path == "/rec/gdq.flv"


def test_what_does_not_name_the_input_of_its_recording_waits_for_it_too(library, channel, take):
    take(hooks.mux_asset("live_stream_completed", START))
    take(hooks.mux_asset("static_renditions.ready", LATER, live_stream_id=None))
    with library.session() as s:
        assert library_inbox.due(s, 100) == []  # else it would be tried again and again
        found = library_inbox.by_ids(s, library_inbox.select_ids(s, state="waiting"))
        assert {one.note[:33] for one in found} == {"nobody has added input live1 of m"}
    add(library, channel, "mux", "live1")
    assert inbox.apply_waiting(library, lambda: LATER) == 2


def test_a_servers_recordings_go_to_the_streams_that_they_were_made_in(library, channel, take):
    add(library, channel, "nginx_rtmp", "live/gdq")
    for n, path in enumerate(("/rec/1.flv", "/rec/2.flv")):
        begin = START + 3 * n * HOUR
        take(hooks.nginx("publish"), at=begin)
        take(hooks.nginx("publish_done"), at=begin + HOUR)
        take(hooks.nginx("record_done", path=path), at=begin + HOUR)
    found = [recording(library, "nginx_rtmp", f"/rec/{n}.flv").stream_id for n in (1, 2)]
    assert None not in found
    assert len(set(found)) == 2


def test_every_segment_of_mediamtx_is_a_recording_of_the_stream(library, channel, take):
    add(library, channel, "mediamtx", "gdq")
    take(hooks.mediamtx("available"), at=START)
    for n in (1, 2):
        segment = {"segment_path": f"/rec/{n}.mp4", "segment_duration": "60.5"}
        take(hooks.mediamtx("segmentComplete", **segment), at=START + n * HOUR / 60)
    one, two = (recording(library, "mediamtx", f"gdq:/rec/{n}.mp4") for n in (1, 2))
    assert one.stream_id == two.stream_id is not None
    assert two.started_at == START + timedelta(seconds=120 - 60.5)


def test_signals_and_recordings_of_an_input_at_once_wait_for_each_other(
    settings, library, channel, take
):
    add(library, channel, "mux", "live1")
    take(hooks.mux_live("active", "live1", START), hooks.mux_asset("ready", START, is_live=True))
    told = [
        *(hooks.mux_live("disconnected", "live1", START + n * HOUR) for n in (1, 3)),
        *(hooks.mux_live("active", "live1", START + n * HOUR) for n in (2, 4)),
        *(hooks.mux_asset("live_stream_completed", START + n * HOUR) for n in (5, 6)),
        hooks.mux_asset("static_renditions.ready", START + 7 * HOUR),
        hooks.mux_asset("ready", START + HOUR / 2),
    ]
    source = WEBHOOKS["mux"].from_settings(with_secrets(settings))
    assert source is not None
    with library.session() as s:
        ids = [
            event_id
            for hook in told
            for event_id in inbox.keep(s, source, *inbox.read(source, hook.sent()), LATER).waiting
        ]
    with ThreadPoolExecutor(len(ids)) as pool:
        states = [*pool.map(lambda event_id: inbox.apply(library, event_id, LATER), ids)]
    assert states == ["applied"] * len(told)
    with library.session() as s:
        assert {one.attempts for one in library_inbox.by_ids(s, ids)} == {0}
    assert recording(library, "mux", "asset1").state == "ready"


def test_the_last_of_two_that_tell_of_a_recording_at_once_knows_both(
    library, channel, take, monkeypatch
):
    """One has read what was told before the other came, and writes after it."""
    add(library, channel, "mux", "live1")
    take(hooks.mux_live("active", "live1", START), hooks.mux_live("idle", "live1", START + HOUR))
    put = provider_recordings.put
    others: list[Future[None]] = []

    def put_late(s: Session, *values: Any) -> ProviderRecording:
        if not others:
            completed = hooks.mux_asset("live_stream_completed", START + HOUR)
            others.append(pool.submit(take, completed))
            eventually(lambda: others[0].done() or is_somebody_waiting(s))
        return put(s, *values)

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(provider_recordings, "put", put_late)
        take(hooks.mux_asset("ready", START + HOUR / 2, is_live=True))
        others[0].result()
    found = recording(library, "mux", "asset1")
    assert (found.state, found.stream_id is not None) == ("ready", True)


def is_somebody_waiting(s: Session) -> bool:
    return bool(s.scalar(text("select exists (select from pg_locks where not granted)")))


def test_a_recording_that_is_ready_after_its_input_was_removed_is_still_its_streams(
    library, channel, take
):
    added = add(library, channel, "mux", "live1")
    take(
        hooks.mux_live("active", "live1", START),
        hooks.mux_asset("ready", START + HOUR / 2, is_live=True),
        hooks.mux_live("idle", "live1", START + HOUR),
    )
    before = recording(library, "mux", "asset1")
    assert (before.state, before.stream_id is not None) == ("pending", True)
    with library.session() as s:
        inputs.remove(s, added)
    take(hooks.mux_asset("live_stream_completed", START + HOUR))
    found = recording(library, "mux", "asset1")
    assert (found.state, found.stream_id) == ("ready", before.stream_id)
    add(library, channel, "mux", "live1")
    take(hooks.mux_asset("static_renditions.ready", START + 2 * HOUR))
    assert recording(library, "mux", "asset1").stream_id == before.stream_id


@pytest.mark.parametrize("owner", ["gdq", "another"])
@pytest.mark.parametrize("is_replayed_between", [True, False])
def test_a_replay_does_not_give_streams_of_a_removed_input_to_the_next_of_its_id(
    library, channel, take, owner, is_replayed_between
):
    added = add(library, channel, "mux", "live1")
    take(
        hooks.mux_live("active", "live1", START),
        hooks.mux_asset("live_stream_completed", START + HOUR),
        hooks.mux_live("idle", "live1", START + HOUR),
    )
    before = recording(library, "mux", "asset1").stream_id
    with library.session() as s:
        inputs.remove(s, added)
    if is_replayed_between:
        replay(library)
    with library.session() as s:
        next_owner = ensure_channel(s, owner)
    add(library, next_owner, "mux", "live1")
    inbox.apply_waiting(library, lambda: LATER)
    replay(library)
    with library.session() as s:
        assert [one.id for one in s.scalars(select(Stream))] == [before]
    assert recording(library, "mux", "asset1").stream_id == before


def replay(library: Library) -> None:
    with library.session() as s:
        ids = library_inbox.select_ids(s)
    assert [inbox.apply(library, one, LATER, again=True) for one in ids] == ["applied"] * len(ids)


def test_the_same_form_is_a_repeat_for_a_while_and_then_something_new(library, channel, take):
    """nginx-rtmp numbers its clients anew with each start."""
    add(library, channel, "nginx_rtmp", "live/gdq")
    for seconds in (0, 2, 4.9, 60, 61, 3600):
        take(hooks.nginx("publish"), at=START + timedelta(seconds=seconds))
    with library.session() as s:
        found = library_inbox.by_ids(s, library_inbox.select_ids(s))
    assert [(one.received_at - START).total_seconds() for one in found] == [0, 60, 3600]


@pytest.mark.parametrize("last", ["s1", "s2"])
def test_a_mediamtx_publisher_that_takes_anothers_place_stays_live(library, channel, take, last):
    """Both hooks are commands that MediaMTX starts at once; either may arrive first."""
    add(library, channel, "mediamtx", "gdq")
    take(hooks.mediamtx("available", source_id="s1"), at=START)
    both = {
        "s1": hooks.mediamtx("unavailable", source_id="s1"),
        "s2": hooks.mediamtx("available", source_id="s2"),
    }
    first = both.pop("s2" if last == "s1" else "s1")
    take(first, at=START + HOUR)
    take(*both.values(), at=START + HOUR + timedelta(milliseconds=3))
    inbox.Inbox(library, lambda: LATER).settle()
    with library.session() as s:
        assert [one.status for one in s.scalars(select(Stream))] == ["live"]


def test_a_mediamtx_source_that_comes_back_is_something_new(library, channel, take):
    add(library, channel, "mediamtx", "gdq")
    for source in ("s1", "s1", "s2"):
        take(hooks.mediamtx("available", source_id=source), at=START)
    with library.session() as s:
        assert len(library_inbox.select_ids(s)) == 2
