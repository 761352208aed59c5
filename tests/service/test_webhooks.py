"""`POST /webhooks/{provider}` through the real service and its database."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from uvicorn.logging import AccessFormatter

from aethex.library import Channel, Library, Stream, WebhookEvent, live, new_id
from aethex.library.spells import Signal, fold
from aethex.providers import WEBHOOKS
from aethex.service import inbox
from aethex.service.app import create_app
from aethex.service.webhooks import hide_secrets_in_access_log
from aethex.settings import Settings
from tests.providers import hooks
from tests.providers.hooks import SECRET, STREAM_KEY, Hook, with_secrets
from tests.service.conftest import Client, serving
from tests.service.telling import add
from tests.supervise.platform import eventually

START = datetime(2026, 1, 30, 18, 0, tzinfo=UTC)
relaxed = hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """The service with every provider's secret."""
    with serving(create_app(with_secrets(settings))) as client:
        yield client


def send(client: Client, hook: Hook) -> httpx.Response:
    path = f"/webhooks/{hook.provider}"
    return client.request("POST", path, content=hook.body, headers=hook.headers, params=hook.query)


def events(library: Library) -> list[WebhookEvent]:
    with library.session() as s:
        return [*s.scalars(select(WebhookEvent).order_by(WebhookEvent.id))]


def one_of_each() -> dict[str, Hook]:
    """As `hooks.ONE_OF_EACH`, signed just now."""
    return {
        **hooks.ONE_OF_EACH,
        "cloudflare video": hooks.cloudflare_video(
            {"uid": "v1", "status": {"state": "ready"}, "readyToStream": True}, now()
        ),
        "mux": hooks.mux_live("active", "live1", START, now=now()),
    }


@pytest.mark.parametrize(
    ("name", "input_id"),
    [
        ("cloudflare live", "in1"),
        ("mux", "live1"),
        ("mediamtx", "gdq"),
        ("srs", "live/gdq"),
        ("nginx_rtmp", "live/gdq"),
        ("owncast", "gdq"),
    ],
)
def test_a_webhook_waits_for_its_input_and_then_makes_a_live_stream(
    client: Client, library: Library, channel: Channel, name: str, input_id: str
) -> None:
    hook = one_of_each()[name]
    answer = send(client, hook)
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "kept": 1})
    assert send(client, hook).json() == {"code": 0, "kept": 0}
    [event] = events(library)
    assert (event.state, event.external_id) == ("waiting", input_id)
    assert "aethex inputs add" in event.note
    added = add(library, channel, hook.provider, input_id)
    inbox.apply_waiting(library, now)  # or the service did already
    [event] = events(library)
    assert event.state == "applied"
    with library.session() as s:
        stream = live.live_stream(s, added)
    assert stream is not None
    assert stream.id in event.note
    assert stream.started_at == event.at
    if name == "owncast":
        assert stream.title == "my stream"


@pytest.mark.parametrize("name", hooks.ONE_OF_EACH)
def test_what_is_not_the_providers_is_refused_and_not_kept(
    client: Client, library: Library, name: str
) -> None:
    hook = one_of_each()[name]
    wrong = hook.changed(
        headers={k: v.replace(SECRET, "x") for k, v in hook.headers.items()},
        query={k: v.replace(SECRET, "x") for k, v in hook.query.items()},
        body=hook.body + b" ",
    )
    answer = send(client, wrong)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:aethex:problem:webhook-refused"
    assert events(library) == []


def test_an_old_signed_webhook_is_refused_and_a_young_one_is_the_same_event(
    client: Client, library: Library
) -> None:
    made = now()
    old = hooks.mux_live("active", "live1", START, now=made - timedelta(seconds=310))
    assert send(client, old).status_code == 401
    young = hooks.mux_live("active", "live1", START, now=made - timedelta(seconds=200))
    again = hooks.mux_live("active", "live1", START, now=made)  # Mux signs each attempt anew
    assert [send(client, one).json()["kept"] for one in (young, again, young)] == [1, 0, 0]
    assert len(events(library)) == 1


def test_a_provider_without_its_secret_takes_nothing(settings: Settings) -> None:
    with serving(create_app(settings)) as client:
        for name, hook in one_of_each().items():
            answer = send(client, hook)
            assert answer.status_code == 503, name
            assert "set AETHEX_" in answer.json()["detail"]
        assert client.request("POST", "/webhooks/mediamtx/auth").status_code == 503
        assert client.request("POST", "/webhooks/vimeo").status_code == 404


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    assert (
        send(client, hooks.srs("on_publish").changed(body=b" " * 2**20 + b"{}")).status_code == 413
    )


def test_unknown_and_unreadable_events_are_kept_and_ignored(
    client: Client, library: Library
) -> None:
    token = {"token": SECRET}
    sent = [
        hooks.srs("on_play"),
        hooks.owncast("CHAT", event_id="c1"),
        hooks.nginx("play"),
        Hook("owncast", b"\xff not json", hooks.JSON, token),
        Hook("owncast", b"[1]", hooks.JSON, token),
        hooks.mux("asset.created", {"id": "a"}, START, now=now()),
    ]
    assert [send(client, one).status_code for one in sent] == [200] * len(sent)
    found = events(library)
    assert [(one.kind, one.state) for one in found] == [("unknown", "ignored")] * len(sent)
    assert found[3].body == {"unreadable_bytes": 10}


def test_no_secret_is_stored_or_logged(
    client: Client, library: Library, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    add(library, channel, "srs", "live/gdq", key="another key")
    everything = [
        *one_of_each().values(),
        hooks.srs("on_dvr", cwd="/srs", file=f"./{'x'}.flv"),
        hooks.nginx("update_publish"),
        hooks.mediamtx("unavailable", password=STREAM_KEY, user=STREAM_KEY),
        hooks.mediamtx("available").changed(
            body=f"query=%3Fkey%3D{STREAM_KEY}&event=online&path=b".encode(), headers=hooks.FORM
        ),
        hooks.srs("on_hls", url=f"rtmp://me:{STREAM_KEY}@host/live?key={STREAM_KEY}"),
        hooks.srs(
            "on_publish",
            stream="other",
            deeper={"list": [{"param": STREAM_KEY, "token": STREAM_KEY}]},
        ),
    ]
    for hook in everything:
        assert send(client, hook).status_code in (200, 403)
    assert len(events(library)) == len(everything)
    with library.session() as s:
        tables = s.scalars(
            text("select table_name from information_schema.tables where table_schema = 'public'")
        ).all()
        stored = {name: s.scalars(text(f'select t::text from "{name}" t')).all() for name in tables}
    assert stored["webhook_events"]
    for secret in (STREAM_KEY, SECRET):
        assert [name for name, rows in stored.items() if secret in "".join(rows)] == []
        # the test's own client logs the addresses that it asks
        ours = [one for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]
        assert [one.getMessage() for one in ours if secret in one.getMessage()] == []


def test_the_access_log_has_no_query_of_webhooks() -> None:
    hide_secrets_in_access_log()
    hide_secrets_in_access_log()
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(AccessFormatter("%(request_line)s", use_colors=False).format(record))

    access = logging.getLogger("uvicorn.access")
    handler, level = Kept(), access.level
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    try:
        for path in (f"/webhooks/srs?token={SECRET}", "/api/vods?page=2"):
            access.info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "POST", path, "1.1", 200)
    finally:
        access.removeHandler(handler)
        access.setLevel(level)
    assert lines == ["POST /webhooks/srs?… HTTP/1.1", "POST /api/vods?page=2 HTTP/1.1"]


@pytest.mark.parametrize(
    ("provider", "hook", "action"),
    [("srs", hooks.srs, "on_publish"), ("nginx_rtmp", hooks.nginx, "publish")],
)
def test_a_publisher_with_a_wrong_stream_key_is_not_let_in(
    client: Client, library: Library, channel: Channel, provider: str, hook: Any, action: str
) -> None:
    added = add(library, channel, provider, "live/gdq", key="right-key")
    answer = send(client, hook(action, key="wrong-key"))
    assert answer.status_code == 403
    assert answer.json()["code"] == 1
    [refused] = events(library)
    assert (refused.state, refused.note[:8]) == ("ignored", "refused:")
    inbox.apply(library, refused.id, now(), again=True)  # a replay does not let it in either
    with library.session() as s:
        assert live.live_stream(s, added) is None
    other = {"client_id": "2"} if provider == "srs" else {"clientid": "2"}
    assert send(client, hook(action, key="right-key", **other)).json() == {"code": 0, "kept": 1}
    with library.session() as s:
        assert live.live_stream(s, added) is not None


def behind_the_name(text: bytes) -> Hook:
    """nginx-rtmp's form of a publisher without a key, with what it wrote behind the name."""
    form = b"app=live&flashver=x&addr=192.0.2.9&clientid=1&call=publish&name=gdq&type=live&" + text
    return Hook("nginx_rtmp", form, hooks.FORM, {"token": SECRET})


@pytest.mark.parametrize(
    "hook",
    [
        behind_the_name(b"name=mine&key=my-key"),
        behind_the_name(b"app=other"),
        behind_the_name(b"call=update_publish"),
        behind_the_name(b"&" * 200),
        behind_the_name(b"x=\xff"),
        Hook(
            "srs",
            b'{"action":"on_publish","app":"live","stream":"gdq","param":"?\xff"}',
            hooks.JSON,
            {"token": SECRET},
        ),
    ],
    ids=["another name", "another app", "another call", "many fields", "no text", "no JSON"],
)
def test_a_publisher_is_not_let_in_by_what_it_writes_behind_the_name(
    client: Client, library: Library, channel: Channel, hook: Hook
) -> None:
    add(library, channel, hook.provider, "live/gdq", key="right-key")
    add(library, channel, hook.provider, "live/mine", key="my-key")
    for _ in range(2):
        assert send(client, hook).status_code == 403
    [refused] = events(library)
    assert (refused.state, refused.note[:8]) == ("ignored", "refused:")
    if hook.provider == "nginx_rtmp":
        assert send(client, behind_the_name(b"name=gdq&key=right-key")).status_code == 200


def test_mediamtx_asks_whether_a_publisher_may(
    client: Client, library: Library, channel: Channel
) -> None:
    add(library, channel, "mediamtx", "gdq", key="right-key")
    add(library, channel, "mediamtx", "keyless")

    def ask(token: str = SECRET, **fields: Any) -> int:
        body = {
            "action": "publish",
            "path": "gdq",
            "user": "",
            "password": "",
            "query": "",
        } | fields
        options = {"json": body, "params": {"token": token}}
        return client.request("POST", "/webhooks/mediamtx/auth", **options).status_code

    assert ask(password="right-key") == 200
    assert ask(token_="x", query="key=right-key&x=1") == 200
    assert ask(password="right-key", action="read", path="other") == 200
    assert ask() == 401
    assert ask(password="wrong") == 401
    assert ask(password="right-key", path="other") == 401
    assert ask(password="", path="keyless") == 401
    assert ask(password="right-key", action="api") == 401
    assert ask(token="wrong", password="right-key") == 401
    assert events(library) == []


def test_a_mediamtx_hook_may_ask_by_get(client: Client, library: Library, channel: Channel) -> None:
    added = add(library, channel, "mediamtx", "gdq")
    hook = hooks.mediamtx("available")
    assert client.get("/webhooks/mediamtx", params=hook.query).json() == {"code": 0, "kept": 1}
    assert send(client, hook).json() == {"code": 0, "kept": 0}
    assert client.get("/webhooks/mediamtx", params=hook.query | {"token": "x"}).status_code == 401
    assert client.get("/webhooks/srs", params=hook.query).status_code == 405
    with library.session() as s:
        assert live.live_stream(s, added) is not None


def test_what_cannot_be_applied_waits_with_a_note(
    client: Client, library: Library, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = add(library, channel, "cloudflare", "in1")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug of ours\nin two lines")

    with monkeypatch.context() as patched:
        patched.setattr(live, "signal", broken)
        assert send(client, hooks.cloudflare_live("connected", "in1", START)).status_code == 200
        [event] = events(library)
    assert (event.state, event.note) == ("waiting", "RuntimeError: a bug of ours")
    assert event.attempts >= 1
    inbox.apply_waiting(library, now)
    with library.session() as s:
        assert live.live_stream(s, added) is not None
    assert events(library)[0].state == "applied"


def test_the_service_ends_a_stream_when_its_window_is_over(
    client: Client, library: Library, channel: Channel
) -> None:
    added = add(library, channel, "cloudflare", "in1", reconnect_seconds=0)
    left = START + timedelta(hours=1)
    send(client, hooks.cloudflare_live("connected", "in1", START))
    send(client, hooks.cloudflare_live("disconnected", "in1", left))
    eventually(lambda: all_streams(library, added) == [(START, left)])


def test_what_waits_is_applied_by_the_service_once_its_input_is_there(
    client: Client, library: Library, channel: Channel
) -> None:
    send(client, hooks.cloudflare_live("connected", "in1", START))
    added = add(library, channel, "cloudflare", "in1")
    eventually(lambda: all_streams(library, added) == [(START, None)])


def all_streams(library: Library, input_id: str) -> list[tuple[Any, ...]]:
    with library.session() as s:
        found = s.scalars(
            select(Stream).where(Stream.input_id == input_id).order_by(Stream.started_at)
        )
        return [(one.started_at, one.ended_at) for one in found]


told = st.lists(
    st.tuples(st.sampled_from(["connected", "disconnected"]), st.integers(0, 20)),
    min_size=1,
    max_size=7,
    unique=True,
).flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations([*drawn, *drawn[:3]])))


@relaxed
@given(told, st.randoms(use_true_random=False))
def test_webhooks_in_any_order_and_repeated_and_replayed_end_in_the_same_streams(
    client: Client, library: Library, channel: Channel, given: Any, random: Any
) -> None:
    drawn, arrivals = given
    name = new_id("inp")
    added = add(library, channel, "cloudflare", name)
    signals = [Signal(kind, START + timedelta(seconds=25 * n), f"{kind}{n}") for kind, n in drawn]
    # at one moment the order is by the key, which is a digest here
    if len({one.at for one in signals}) < len(signals):
        return
    for kind, n in arrivals:
        at = START + timedelta(seconds=25 * n)
        assert send(client, hooks.cloudflare_live(kind, name, at)).status_code == 200
    inbox.Inbox(library).settle()
    spells = fold(signals, timedelta(seconds=60), now())
    expected = [(one.started_at, one.ended_at) for one in spells]
    assert all_streams(library, added) == expected
    ids = [one.id for one in events(library) if one.external_id == name]
    assert len(ids) == len(drawn)
    random.shuffle(ids)
    for event_id in ids:
        inbox.apply(library, event_id, now(), again=True)
    assert all_streams(library, added) == expected


junk = st.binary(max_size=60) | st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


@relaxed
@given(st.sampled_from([*WEBHOOKS]), junk, st.sampled_from([hooks.JSON, hooks.FORM, {}]))
def test_whatever_is_verified_is_answered_2xx(
    client: Client, provider: str, body: bytes, headers: dict[str, str]
) -> None:
    hook = Hook(provider, body, headers | {"cf-webhook-auth": SECRET}, {"token": SECRET})
    if provider == "mux":
        signed = hooks.signed("mux", {}, "mux-signature", ("t", "v1"), now())
        hook = signed.changed(headers=signed.headers | headers)
    answer = send(client, hook)
    if WEBHOOKS[provider].lets_publishers_in and answer.status_code == 403:
        assert "The " in answer.json()["detail"]  # not readable: nobody is let in by that
        return
    assert answer.status_code == 200


@relaxed
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_address_is_answered(client: Client, name: str, value: str) -> None:
    query = {name: value, "token": SECRET}
    assert send(client, Hook("mediamtx", b"", {}, query)).status_code == 200
