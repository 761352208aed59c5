"""Mux: signed webhooks of assets and live streams, and live streams made by its API.

`Mux-Signature: t=<unix>,v1=<hex>`. It sends again for a day what was not answered 2xx; every event
has an id. An asset of a live stream can be ready while the stream is live:
`video.asset.live_stream_completed` says that it is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import SecretStr

from aethex.providers.bodies import at, items, moment, number, read_json, redact, text, texts, whole
from aethex.providers.notices import Notice, NoticeKind, Recording, RecordingState, Sent
from aethex.providers.verifying import check_signature
from aethex.settings import Settings

_STREAM = "video.live_stream."
_ASSET = "video.asset."
_SIGNALS: dict[str, NoticeKind] = {
    "active": "connected",
    "disconnected": "disconnected",
    "idle": "ended",  # its own reconnect window is over, or the stream was ended on purpose
}
_COMPLETED = _ASSET + "live_stream_completed"
_ASSET_EVENTS = ("ready", "errored", "live_stream_completed", "static_renditions.ready")
_SECRETS = {"stream_key", "srt_passphrase", "passphrase", "token", "secret", "password"}


class MuxWebhooks:
    """One Mux environment's webhooks."""

    name: ClassVar[str] = "mux"
    secret_settings: ClassVar[tuple[str, ...]] = ("AETHEX_MUX_WEBHOOK_SECRET",)

    def __init__(self, secret: SecretStr, tolerance_seconds: float) -> None:
        self._secret = secret
        self._tolerance_seconds = tolerance_seconds

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With the signing secret of the webhook (`AETHEX_MUX_WEBHOOK_SECRET`)."""
        secret = settings.mux_webhook_secret
        return cls(secret, settings.webhook_tolerance_seconds) if secret else None

    def verify(self, sent: Sent, now: datetime) -> None:
        """Raises Refused."""
        header = sent.headers.get("mux-signature")
        names = ("t", "v1")
        check_signature(header, names, self._secret, sent.body, now, self._tolerance_seconds)

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """Raises Unreadable."""
        return read_json(sent.body)

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without the live stream's key. Delivery attempts are left out: a repeat differs there."""
        return redact({k: v for k, v in fields.items() if k != "attempts"}, _SECRETS)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """One notice an event."""
        kind, event_id = text(fields, "type") or "", text(fields, "id")
        created_at = moment(fields, "created_at")
        data = at(fields, "data")
        if kind.startswith(_STREAM):
            signal = _SIGNALS.get(kind.removeprefix(_STREAM), "unknown")
            return [Notice(signal, event_id, created_at, text(data, "id"), note=kind)]
        recording = _recording(kind, data)
        if recording is None:
            return [Notice("unknown", event_id, created_at, note=kind)]
        live_id = text(data, "live_stream_id")
        return [
            Notice("recording", event_id, created_at, live_id, recording=recording, note=kind),
        ]


def _recording(kind: str, data: Any) -> Recording | None:
    event = kind.removeprefix(_ASSET)
    asset_id = text(data, "id")
    if not kind.startswith(_ASSET) or event not in _ASSET_EVENTS or asset_id is None:
        return None
    playback = [
        {"id": text(one, "id"), "policy": text(one, "policy")}
        for one in items(data, "playback_ids")
        if text(one, "id")
    ]
    public = [one["id"] for one in playback if one["policy"] == "public"]
    chosen = (public or [one["id"] for one in playback] or [None])[0]
    files = [
        {name: text(one, name) or whole(one, name) for name in ("name", "ext", "height", "width")}
        | {"bytes": whole(one, "filesize")}
        for one in items(data, "static_renditions", "files")
        if text(one, "name")
    ]
    sizes = [
        size
        for one in items(data, "static_renditions", "files")
        if (size := whole(one, "filesize"))
    ]
    best = max(files, key=lambda one: whole(one, "bytes") or 0, default=None)
    times = [
        {"started_at": found.isoformat(), "duration_seconds": number(one, "duration")}
        for one in items(data, "recording_times")
        if (found := moment(one, "started_at"))
    ]
    details = {"playback_ids": playback, "files": files, "recording_times": times}
    details |= {"max_frame_rate": number(data, "max_stored_frame_rate")}
    details |= {"resolution_tier": text(data, "resolution_tier")}
    details |= {"error": "; ".join(texts(data, "errors", "messages")) or None}
    base = f"https://stream.mux.com/{chosen}"
    return Recording(
        external_id=asset_id,
        state=_state(kind, data),
        hls_url=f"{base}.m3u8" if chosen else None,
        mp4_url=f"{base}/{best['name']}" if chosen and best else None,
        is_signed=not public if playback else None,
        duration_seconds=number(data, "duration"),
        size_bytes=max(sizes, default=None),
        started_at=datetime.fromisoformat(str(times[0]["started_at"])) if times else None,
        details={name: value for name, value in details.items() if value},
    )


def _state(kind: str, data: Any) -> RecordingState:
    if kind == _ASSET + "errored" or text(data, "status") == "errored":
        return "failed"
    is_whole = kind == _COMPLETED or text(data, "live_stream_id") is None
    return "ready" if is_whole and at(data, "is_live") is not True else "pending"
