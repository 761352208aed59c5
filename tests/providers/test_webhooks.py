"""Webhooks are verified on their raw body, and read as notices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from aethex.providers import WEBHOOKS, Notice, Refused, Sent, Unreadable, WebhookSource
from aethex.providers.mux import MuxWebhooks
from aethex.settings import Settings
from tests.providers import hooks
from tests.providers.hooks import NOW, ONE_OF_EACH, SECRET, STREAM_KEY, Hook

SIGNED = ("cloudflare video", "mux")
SHARED = tuple(name for name in ONE_OF_EACH if name not in SIGNED)
FAR = timedelta(seconds=301)


def source_of(hook: Hook, **changes: Any) -> WebhookSource:
    settings = hooks.with_secrets(Settings(_env_file=None), **changes)  # pyright: ignore[reportCallIssue]
    source = WEBHOOKS[hook.provider].from_settings(settings)
    assert source is not None
    return source


def verify(hook: Hook, now: datetime = NOW, **changes: Any) -> None:
    source_of(hook, **changes).verify(hook.sent(), now)


def read(hook: Hook) -> Notice:
    source = WEBHOOKS[hook.provider]
    [notice] = source.read(source.redacted(source.fields(hook.sent())))
    return notice


def payload(shared_data: Path, name: str) -> Any:
    file = shared_data / "webhooks" / name
    if not file.is_file():
        pytest.skip(f"no documented payloads at {file}")
    return json.loads(file.read_text())


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_the_provider_sends_is_verified(name):
    verify(ONE_OF_EACH[name])


def test_the_signature_vectors_pass(shared_data):
    for vector in payload(shared_data, "signature_vectors.json"):
        assert vector["provider"] == "mux"
        source = MuxWebhooks(SecretStr(vector["secret"]), 300)
        at = datetime.fromtimestamp(1565125718, UTC)
        sent = Sent(vector["body"].encode(), {"mux-signature": vector["header"]}, {})
        source.verify(sent, at)
        with pytest.raises(Refused, match="more than 300 s"):
            source.verify(sent, at + FAR)
        with pytest.raises(Refused, match="wrong"):
            MuxWebhooks(SecretStr("another"), 300).verify(sent, at)


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("off", [FAR, -FAR])
def test_an_old_signature_is_refused_and_one_of_the_future(name, off):
    with pytest.raises(Refused, match="more than 300 s from now"):
        verify(ONE_OF_EACH[name], NOW + off)
    verify(ONE_OF_EACH[name], NOW + off, webhook_tolerance_seconds=400)


@pytest.mark.parametrize("name", SIGNED)
def test_the_raw_body_is_signed_to_the_last_space(name):
    hook = ONE_OF_EACH[name]
    same_json = json.dumps(json.loads(hook.body), indent=1).encode()
    for body in (hook.body + b"\n", b" " + hook.body, same_json, b""):
        with pytest.raises(Refused, match="wrong"):
            verify(hook.changed(body=body))


@pytest.mark.parametrize("name", SIGNED)
@given(data=st.data())
def test_a_changed_byte_of_a_signed_body_or_header_is_refused(name, data):
    hook = ONE_OF_EACH[name]
    header = next(one for one in hook.headers if "signature" in one)
    part = data.draw(st.sampled_from(["body", "header"]))
    whole = hook.body if part == "body" else hook.headers[header].encode()
    place = data.draw(st.integers(0, len(whole)))
    how = data.draw(st.sampled_from(["other", "without", "more"]))
    byte = data.draw(st.integers(0, 255))
    rest = whole[place:] if how == "more" else whole[place + 1 :]
    changed = whole[:place] + (b"" if how == "without" else bytes([byte])) + rest
    if changed == whole:
        return
    if part == "body":
        mutant = hook.changed(body=changed)
    else:
        mutant = hook.changed(headers=hook.headers | {header: changed.decode("latin-1")})
    with pytest.raises(Refused):
        verify(mutant)


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=00", "time=1,sig1=", "t=1,t=2,v1=00", "x" * 9999]
)
def test_a_signature_that_is_none_is_refused(name, header):
    hook = ONE_OF_EACH[name]
    with pytest.raises(Refused, match=r"cannot be read|names no time"):
        verify(hook.changed(headers=dict.fromkeys(hook.headers, header)))
    with pytest.raises(Refused, match="not signed"):
        verify(hook.changed(headers={}))


def test_while_the_secret_is_changed_one_of_two_signatures_is_enough():
    hook = ONE_OF_EACH["mux"]
    time, good = hook.headers["mux-signature"].split(",")
    for header in (f"{time},v1={'0' * 64},{good}", f"{time},{good},v1={'0' * 64}"):
        verify(hook.changed(headers={"mux-signature": header}))


@pytest.mark.parametrize("name", SHARED)
def test_a_wrong_shared_secret_is_refused_and_one_that_is_missing(name):
    hook = ONE_OF_EACH[name]
    for wrong in ("", SECRET + "x", SECRET[:-1], "ü", "\ud800"):
        mutant = hook.changed(
            headers={k: wrong if v == SECRET else v for k, v in hook.headers.items()},
            query={k: wrong if v == SECRET else v for k, v in hook.query.items()},
        )
        with pytest.raises(Refused, match="secret"):
            verify(mutant)
    with pytest.raises(Refused):
        verify(hook.changed(headers={}, query={}))


@pytest.mark.parametrize("name", ["mediamtx", "srs", "nginx_rtmp", "owncast"])
def test_the_token_may_come_in_a_header_too_and_only_from_listed_senders(name):
    hook = ONE_OF_EACH[name].changed(headers={"x-aethex-token": SECRET}, query={})
    verify(hook)
    settings = Settings(_env_file=None, webhook_senders="192.0.2.0/28, 2001:db8::/32")  # pyright: ignore
    source = source_of(hook, webhook_senders=settings.webhook_senders)
    for address in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"):
        source.verify(hook.sent(address), NOW)
    for address in ("192.0.2.99", "::1", "", "somewhere"):
        with pytest.raises(Refused, match="AETHEX_WEBHOOK_SENDERS"):
            source.verify(hook.sent(address), NOW)


def test_without_a_secret_there_is_no_source():
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    assert [kind.from_settings(settings) for kind in WEBHOOKS.values()] == [None] * len(WEBHOOKS)


def test_cloudflare_takes_only_what_its_secrets_can_verify():
    for name, missing in (
        ("cloudflare video", "cloudflare_webhook_secret"),
        ("cloudflare live", "cloudflare_notification_secret"),
    ):
        with pytest.raises(Refused, match=f"AETHEX_{missing.upper()}"):
            source_of(ONE_OF_EACH[name], **{missing: None}).verify(ONE_OF_EACH[name].sent(), NOW)


def test_cloudflares_documented_webhooks(shared_data):
    documented = payload(shared_data, "cloudflare_stream.json")
    ready = read(hooks.cloudflare_video(documented["vod_ready"])).recording
    assert ready is not None
    assert (ready.state, ready.duration_seconds, ready.size_bytes) == ("ready", 5.5, 383631)
    assert ready.external_id == "6b9e68b07dfee8cc2d116e4c51d6a957"
    assert (ready.hls_url or "").endswith("/manifest/video.m3u8")
    assert (ready.is_to_look_up, ready.is_signed) == (True, False)
    assert ready.details == {"name": "small.mp4", "width": 560, "height": 320}
    failed = read(hooks.cloudflare_video(documented["vod_error"] | {"uid": "x"})).recording
    assert failed is not None
    assert failed.state == "failed"
    assert failed.details["error"].startswith("ERR_MALFORMED_VIDEO: The video")
    left = read(Hook("cloudflare", json.dumps(documented["live_disconnected"]).encode()))
    assert (left.kind, left.input_id) == ("disconnected", "eb222fcca08eeb1ae84c981ebe8aeeb6")
    assert left.at == datetime(2022, 1, 13, 11, 43, 41, 855717, UTC)
    errored = read(Hook("cloudflare", json.dumps(documented["live_errored"]).encode()))
    assert errored.kind == "unknown"
    assert "keyframe interval" in errored.note


def test_srs_documented_callbacks(shared_data):
    read_as = [
        read(Hook("srs", json.dumps(one).encode()))
        for one in payload(shared_data, "srs_callbacks.json")
    ]
    assert [one.kind for one in read_as] == [
        *("connected", "disconnected", "unknown", "unknown", "recording", "unknown", "connected")
    ]
    assert {one.input_id for one in read_as} == {"live/livestream"}
    assert len({one.key for one in read_as}) == len(read_as)
    [dvr] = [one.recording for one in read_as if one.recording]
    assert dvr.path == "/usr/local/srs/objs/nginx/html/live/livestream.1420254068776.flv"


def test_owncasts_documented_webhooks(shared_data):
    documented = payload(shared_data, "owncast.json")
    at = datetime(1970, 1, 1, 0, 1, 12, tzinfo=UTC)
    for kind, expected in (("STREAM_STARTED", "connected"), ("STREAM_STOPPED", "disconnected")):
        body = {"type": kind, "eventData": documented["STREAM_STARTED"]}
        found = read(Hook("owncast", json.dumps(body).encode(), query={"input": "mine"}))
        assert (found.kind, found.input_id, found.at) == (expected, "mine", at)
    assert read(Hook("owncast", json.dumps(body).encode())).input_id == "owncast"
    chat = {"type": "CHAT", "eventData": documented["CHAT"]}
    source = WEBHOOKS["owncast"]
    kept = source.redacted(source.fields(Hook("owncast", json.dumps(chat).encode()).sent()))
    assert "body" not in json.dumps(kept)
    assert "somebody" not in json.dumps(kept)
    assert source.read(kept)[0].kind == "unknown"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        *((name, "connected") for name in ("available", "ready", "runOnReady", "runOnAvailable")),
        *((name, "disconnected") for name in ("unavailable", "notReady", "runOnUnavailable")),
        ("runOnRead", "unknown"),
        ("", "unknown"),
    ],
)
def test_mediamtx_hooks_by_both_names(event, kind):
    in_address = read(hooks.mediamtx(event))
    assert (in_address.kind, in_address.input_id) == (kind, "gdq")
    form = Hook("mediamtx", f"event={event}&path=gdq&source_id=s1".encode(), hooks.FORM)
    assert read(form).key == in_address.key


def test_a_mediamtx_segment_is_a_recording():
    hook = hooks.mediamtx(
        "segmentComplete", segment_path="/rec/gdq/1.mp4", segment_duration="59.94"
    )
    found = read(hook).recording
    assert found is not None
    assert (found.path, found.duration_seconds, found.state) == ("/rec/gdq/1.mp4", 59.94, "ready")


def test_nginx_rtmp_notifications():
    assert read(hooks.nginx("publish")).kind == "connected"
    assert read(hooks.nginx("publish_done")).kind == "disconnected"
    assert read(hooks.nginx("update_publish")).kind == "unknown"
    done = read(hooks.nginx("record_done", recorder="all", path="/rec/gdq.flv"))
    assert done.recording is not None
    assert (done.recording.path, done.input_id) == ("/rec/gdq.flv", "live/gdq")


@pytest.mark.parametrize(
    ("event", "changes", "state"),
    [
        ("ready", {"is_live": True}, "pending"),
        ("ready", {}, "pending"),  # of a live stream: not whole until it says so
        ("live_stream_completed", {}, "ready"),
        ("ready", {"live_stream_id": None}, "ready"),
        ("errored", {"status": "errored", "errors": {"messages": ["bad"]}}, "failed"),
    ],
)
def test_a_mux_asset_is_ready_when_its_live_stream_is_over(event, changes, state):
    notice = read(hooks.mux_asset(event, NOW, **changes))
    found = notice.recording
    assert found is not None
    assert found.state == state
    assert found.hls_url == "https://stream.mux.com/pub1.m3u8"
    assert found.is_signed is False
    assert found.started_at == datetime(2026, 1, 30, 18, tzinfo=UTC)


def test_a_mux_rendition_is_the_largest_file():
    files = [
        {"name": "low.mp4", "ext": "mp4", "filesize": "100"},
        {"name": "high.mp4", "ext": "mp4", "filesize": "9000000000", "height": 1080},
    ]
    hook = hooks.mux_asset("static_renditions.ready", NOW, static_renditions={"files": files})
    found = read(hook).recording
    assert found is not None
    assert (found.mp4_url, found.size_bytes) == (
        "https://stream.mux.com/pub1/high.mp4",
        9_000_000_000,
    )


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("active", "connected"),
        ("disconnected", "disconnected"),
        ("idle", "ended"),
        ("connected", "unknown"),  # the encoder is there, but nothing is shown yet
        ("recording", "unknown"),
    ],
)
def test_mux_live_streams(event, kind):
    assert (read(hooks.mux_live(event, "live1", NOW)).kind) == kind


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_is_kept_holds_no_secret_and_reads_the_same(name):
    hook = ONE_OF_EACH[name]
    source = WEBHOOKS[hook.provider]
    kept = source.redacted(source.fields(hook.sent()))
    text = json.dumps(kept)
    assert STREAM_KEY not in text
    assert SECRET not in text
    assert [one.key for one in source.read(kept)] == [one.key for one in source.read(kept)]
    assert source.redacted(kept) == kept or name == "mux"


_KNOWN = """uid type id data status state event_type input_id eventData timestamp action app stream
file cwd param call name path event segment_path segment_duration live_stream_id playback_ids files
static_renditions filesize recording_times started_at duration created_at updated_at modified hls
playback input width liveInput meta errors messages"""
names = st.text(max_size=4) | st.sampled_from(_KNOWN.split())
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["ready", "error", "2026-01-30T18:00:00Z", "9" * 400, "\0", "-1", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from([*WEBHOOKS]), st.dictionaries(names, values, max_size=8), st.booleans())
def test_any_fields_are_read_and_what_is_kept_fits_a_json_column(provider, fields, is_known):
    if is_known:  # the events that are looked into
        fields = {"type": "video.asset.ready", "action": "on_dvr", "call": "record_done"} | fields
    source = WEBHOOKS[provider]
    kept = source.redacted(fields)
    encoded = msgspec.json.encode(kept).decode()
    assert "\\u0000" not in encoded
    for one in [*source.read(fields), *source.read(kept)]:
        assert one.recording is None or "\0" not in one.recording.external_id


@given(
    st.sampled_from([*WEBHOOKS]), st.binary(max_size=80), st.sampled_from([hooks.JSON, hooks.FORM])
)
def test_any_bytes_are_read_or_named_unreadable(provider, body, headers):
    source = WEBHOOKS[provider]
    try:
        fields = source.fields(Sent(body, headers, {}))
    except Unreadable:
        return
    assert isinstance(source.read(source.redacted(fields)), list)
