"""Mux: signed webhooks of assets and live streams, and live streams made by its API.

`Mux-Signature: t=<unix>,v1=<hex>`. It sends again for a day what was not answered 2xx; every event
has an id. An asset of a live stream can be ready while the stream is live:
`video.asset.live_stream_completed` says that it is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

import httpx
from pydantic import SecretStr

from aethex.providers.bodies import (
    at,
    items,
    moment,
    number,
    read_json,
    redact,
    seconds,
    text,
    texts,
    whole,
)
from aethex.providers.kinds import ProviderParts, dashboard_kind
from aethex.providers.making import MadeInput, ask, made
from aethex.providers.notices import Notice, NoticeKind, Recording, RecordingState, Sent
from aethex.providers.verifying import check_signature
from aethex.settings import Settings

API_URL = "https://api.mux.com"
PUBLISH_URL = "rtmps://global-live.mux.com:443/app"

_LONGEST_WINDOW_SECONDS = 1800
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
    lets_publishers_in: ClassVar[bool] = False
    is_named_by_publishers: ClassVar[bool] = False

    def __init__(self, secret: SecretStr, tolerance_seconds: float) -> None:
        self._secret = secret
        self._tolerance_seconds = tolerance_seconds

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With the signing secret of the webhook (`AETHEX_MUX_WEBHOOK_SECRET`)."""
        secret = settings.mux_webhook_secret
        return cls(secret, settings.webhook_tolerance_seconds) if secret else None

    def verify(self, sent: Sent, now: datetime, /) -> None:
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
            window = whole(data, "reconnect_window")
            live_id = text(data, "id")
            return [
                Notice(signal, event_id, created_at, live_id, reconnect_seconds=window, note=kind)
            ]
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
    playback = _playback_ids(data)
    public = [one["id"] for one in playback if one["policy"] == "public"]
    chosen = [*public, *(one["id"] for one in playback)][:1]
    base = f"https://stream.mux.com/{chosen[0]}" if chosen else None
    files = _files(data)
    largest = max(files, key=lambda one: one["bytes"] or 0, default=None)
    times = _recording_times(data)
    details = {
        "playback_ids": playback,
        "files": files,
        "recording_times": times,
        "max_frame_rate": number(data, "max_stored_frame_rate"),
        "resolution_tier": text(data, "resolution_tier"),
        "error": "; ".join(texts(data, "errors", "messages")),
    }
    return Recording(
        external_id=asset_id,
        state=_state(kind, data),
        hls_url=f"{base}.m3u8" if base else None,
        mp4_url=f"{base}/{largest['name']}" if base and largest else None,
        is_signed=not public if playback else None,
        duration_seconds=seconds(data, "duration"),
        size_bytes=largest["bytes"] if largest else None,
        started_at=datetime.fromisoformat(times[0]["started_at"]) if times else None,
        details={name: value for name, value in details.items() if value},
    )


def _playback_ids(data: Any) -> list[dict[str, Any]]:
    return [
        {"id": playback_id, "policy": text(one, "policy")}
        for one in items(data, "playback_ids")
        if (playback_id := text(one, "id"))
    ]


def _files(data: Any) -> list[dict[str, Any]]:
    """The asset's MP4 files; their size comes as text."""
    return [
        {
            "name": name,
            "ext": text(one, "ext"),
            "width": whole(one, "width"),
            "height": whole(one, "height"),
            "bytes": whole(one, "filesize"),
        }
        for one in items(data, "static_renditions", "files")
        if (name := text(one, "name"))
    ]


def _recording_times(data: Any) -> list[dict[str, Any]]:
    return [
        {"started_at": started_at.isoformat(), "duration_seconds": seconds(one, "duration")}
        for one in items(data, "recording_times")
        if (started_at := moment(one, "started_at"))
    ]


def _state(kind: str, data: Any) -> RecordingState:
    if kind == _ASSET + "errored" or text(data, "status") == "errored":
        return "failed"
    is_whole = kind == _COMPLETED or text(data, "live_stream_id") is None
    return "ready" if is_whole and at(data, "is_live") is not True else "pending"


class MuxInputs:
    """Makes live streams: `POST /video/v1/live-streams`. Mux records each session as an asset; the
    settings of new assets say how.
    """

    name: ClassVar[str] = "mux"
    needed_settings: ClassVar[tuple[str, ...]] = ("AETHEX_MUX_TOKEN_ID", "AETHEX_MUX_TOKEN_SECRET")

    def __init__(self, token_id: str, secret: SecretStr, api_url: str = API_URL) -> None:
        self._url = f"{api_url}/video/v1/live-streams"
        self._token_id = token_id
        self._secret = secret

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With an access token that may write Mux Video."""
        token_id, secret = settings.mux_token_id, settings.mux_token_secret
        return cls(token_id, secret, API_URL) if token_id and secret else None

    def make(
        self, http: httpx.Client, title: str, *, is_recorded: bool, reconnect_seconds: int
    ) -> MadeInput:
        """A new live stream. Raises ProviderError."""
        body: dict[str, Any] = {
            "playback_policies": ["public"],
            "reconnect_window": min(reconnect_seconds, _LONGEST_WINDOW_SECONDS),
            "meta": {"title": title},
        }
        if is_recorded:
            body["new_asset_settings"] = {
                "playback_policies": ["public"],
                "static_renditions": [{"resolution": "highest"}],
            }
        auth = (self._token_id, self._secret.get_secret_value())
        said = at(ask(http, "Mux", self._url, body, auth=auth), "data")
        return made("Mux", text(said, "id"), PUBLISH_URL, text(said, "stream_key"))


PROVIDER = ProviderParts(dashboard_kind("mux", "Mux", "stream"), MuxWebhooks, MuxInputs)
