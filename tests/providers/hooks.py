"""Webhooks as the providers document them, signed as they sign.

What belongs here: bodies and headers. What does not: sending them, and what becomes of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from aethex.providers import Sent
from aethex.settings import Settings

SECRET = "SuperSecret123"
STREAM_KEY = "sk-THE-STREAM-KEY"
"""Stands in every body that can hold a stream key, and has to be found nowhere afterwards."""

NOW = datetime(2026, 1, 30, 19, 0, tzinfo=UTC)
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Hook:
    """One request to `/webhooks/{provider}`."""

    provider: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def sent(self, address: str = "192.0.2.7") -> Sent:
        return Sent(self.body, self.headers, self.query, address)

    def changed(self, **changes: Any) -> Hook:
        return replace(self, **changes)


def with_secrets(settings: Settings, **changes: Any) -> Settings:
    """Settings that know every provider's secret."""
    names = (
        "cloudflare_webhook_secret",
        "cloudflare_notification_secret",
        "mux_webhook_secret",
        "mediamtx_webhook_token",
        "srs_webhook_token",
        "nginx_rtmp_webhook_token",
        "owncast_webhook_token",
    )
    return settings.model_copy(update={name: SecretStr(SECRET) for name in names} | changes)


def signed(
    provider: str, fields: Any, header: str, names: tuple[str, str], now: datetime = NOW
) -> Hook:
    """A signed JSON webhook."""
    body = json.dumps(fields).encode()
    time = str(int(now.timestamp()))
    hexed = hmac.new(SECRET.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return Hook(provider, body, JSON | {header: f"{names[0]}={time},{names[1]}={hexed}"})


def cloudflare_video(fields: Any, now: datetime = NOW) -> Hook:
    return signed("cloudflare", fields, "webhook-signature", ("time", "sig1"), now)


def cloudflare_live(event: str, input_id: str, at: datetime, **data: Any) -> Hook:
    fields = {
        "name": "Live",
        "text": "…",
        "data": {
            "notification_name": "Stream Live Input",
            "input_id": input_id,
            "event_type": f"live_input.{event}",
            "updated_at": at.isoformat(timespec="microseconds").replace("+00:00", "123Z"),
            **data,
        },
        "ts": int(at.timestamp()),
    }
    return Hook("cloudflare", json.dumps(fields).encode(), JSON | {"cf-webhook-auth": SECRET})


def mux(
    kind: str, data: Any, at: datetime, event_id: str | None = None, now: datetime = NOW
) -> Hook:
    fields = {
        "id": event_id or f"{kind}-{at.isoformat()}",
        "type": f"video.{kind}",
        "created_at": at.isoformat().replace("+00:00", "Z"),
        "object": {"type": "x", "id": data["id"]},
        "environment": {"id": "env", "name": "Production"},
        "attempts": [{"address": f"https://x/?token={STREAM_KEY}"}],
        "data": data,
    }
    return signed("mux", fields, "mux-signature", ("t", "v1"), now)


def mux_live(
    event: str, live_id: str, at: datetime, reconnect_window: int = 60, **options: Any
) -> Hook:
    data = {
        "id": live_id,
        "status": "active",
        "stream_key": STREAM_KEY,
        "reconnect_window": reconnect_window,
    }
    return mux(f"live_stream.{event}", data, at, **options)


def mux_asset(event: str, at: datetime, **changes: Any) -> Hook:
    data = {
        "id": "asset1",
        "status": "ready",
        "duration": 3600.5,
        "playback_ids": [{"id": "signed1", "policy": "signed"}, {"id": "pub1", "policy": "public"}],
        "live_stream_id": "live1",
        "recording_times": [{"started_at": "2026-01-30T18:00:00Z", "duration": 3600.5}],
    }
    return mux(f"asset.{event}", data | changes, at)


def srs(action: str, stream: str = "gdq", key: str = STREAM_KEY, **fields: Any) -> Hook:
    whole = {
        "action": action,
        "client_id": "9308h583",
        "ip": "192.168.1.10",
        "vhost": "video.test.com",
        "app": "live",
        "stream": stream,
        "param": f"?key={key}&salt=yyy",
        "tcUrl": f"rtmp://video.test.com/live?key={key}",
        "server_id": "vid-werty",
        **fields,
    }
    return Hook("srs", json.dumps(whole).encode(), JSON, {"token": SECRET})


def nginx(call: str, name: str = "gdq", key: str = STREAM_KEY, **fields: str) -> Hook:
    whole = {
        "call": call,
        "app": "live",
        "flashver": "FMLE/3.0",
        "tcurl": f"rtmp://h/live?key={key}",
        "addr": "192.0.2.9",
        "clientid": "1",
        "name": name,
        "key": key,
        **fields,
    }
    return Hook("nginx_rtmp", urlencode(whole).encode(), FORM, {"token": SECRET})


def mediamtx(event: str, path: str = "gdq", **fields: str) -> Hook:
    """A hook by `curl "…?…"`: all in the address."""
    query = {"event": event, "path": path, "source_id": "s1", "query": f"key={STREAM_KEY}"}
    return Hook("mediamtx", b"", {}, {"token": SECRET, **query, **fields})


def owncast(kind: str, at: datetime = NOW, event_id: str = "e1", **fields: Any) -> Hook:
    data = {
        "id": event_id,
        "name": "my server",
        "streamTitle": "my stream",
        "summary": "where I stream",
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        **fields,
    }
    body = json.dumps({"type": kind, "eventData": data}).encode()
    return Hook("owncast", body, JSON, {"token": SECRET, "input": "gdq"})


ONE_OF_EACH = {
    "cloudflare video": cloudflare_video({"uid": "v1", "status": {"state": "ready"}}),
    "cloudflare live": cloudflare_live("connected", "in1", NOW),
    "mux": mux_live("active", "live1", NOW),
    "mediamtx": mediamtx("available"),
    "srs": srs("on_publish"),
    "nginx_rtmp": nginx("publish"),
    "owncast": owncast("STREAM_STARTED"),
}
