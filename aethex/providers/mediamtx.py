"""MediaMTX: hooks that call us with curl, and its question whether somebody may publish.

A hook's fields come in the address or as a form: `event` (which hook), `path`, `source_id`,
`source_type`, and of a recorded segment `segment_path` and `segment_duration` (seconds).
docs/webhooks.md has the lines. The names since 1.19.3 (available) and before (ready) are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs

from pydantic import SecretStr

from aethex.providers.bodies import digest, read_fields, redact, seconds, text
from aethex.providers.kinds import InputKind, ProviderParts, Setup, server_about
from aethex.providers.notices import Notice, NoticeKind, Recording, Sent
from aethex.providers.shared_token import TOKEN_PARAMETER, SharedTokenWebhooks
from aethex.settings import Settings

_SIGNALS: dict[str, NoticeKind] = {
    "available": "connected",
    "ready": "connected",
    "online": "connected",
    "unavailable": "disconnected",
    "notready": "disconnected",
    "offline": "disconnected",
}
_SEGMENT = ("recordsegmentcomplete", "segmentcomplete")
_SECRETS = {"query", "token", "password", "pass", "key", "user"}
_AT_ONCE_SECONDS = 5.0


class MediaMtxWebhooks(SharedTokenWebhooks):
    """Hooks of MediaMTX servers."""

    name: ClassVar[str] = "mediamtx"
    secret_settings: ClassVar[tuple[str, ...]] = ("AETHEX_MEDIAMTX_WEBHOOK_TOKEN",)
    is_named_by_publishers: ClassVar[bool] = True

    @staticmethod
    def token(settings: Settings) -> SecretStr | None:
        """The token that they send along."""
        return settings.mediamtx_webhook_token

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """Of the address and of the body together. Raises Unreadable."""
        query = {name: value for name, value in sent.query.items() if name != TOKEN_PARAMETER}
        return query | (read_fields(sent) if sent.body.strip() else {})

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without what the publisher gave to be let in."""
        return redact(fields, _SECRETS)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """One notice a call."""
        event = (text(fields, "event") or "").lower().removeprefix("runon")
        path, source = text(fields, "path"), text(fields, "source_id")
        if event in _SEGMENT and path and text(fields, "segment_path"):
            return [_segment(fields, path)]
        kind: NoticeKind = _SIGNALS.get(event, "unknown") if path else "unknown"
        key = f"source:{source}:{path}:{kind}" if source else digest(cls.redacted(fields))
        window = None if source else _AT_ONCE_SECONDS
        return [Notice(kind, key, None, path, window, note=event)]


def _segment(fields: Mapping[str, Any], path: str) -> Notice:
    file = text(fields, "segment_path") or ""
    recording = Recording(
        f"{path}:{file}",
        "ready",
        path=file,
        duration_seconds=seconds(fields, "segment_duration"),
    )
    return Notice(
        "recording",
        digest({"segment": file, "path": path}),
        None,
        path,
        recording=recording,
        note="segment",
    )


def publisher_keys(fields: Mapping[str, Any]) -> list[str]:
    """What may be the stream key in MediaMTX' question (`authMethod: http`): the password, the
    token, or `key` in the address's query.
    """
    query = parse_qs((text(fields, "query") or "").lstrip("?"))
    found = [text(fields, "password"), text(fields, "token"), *query.get("key", [])]
    return [key for key in found if key]


def _lines(url: str, _known_as: str) -> str:
    hook = f"{url}/webhooks/mediamtx"
    sent = "path=$MTX_PATH&source_id=$MTX_SOURCE_ID"
    return f"""pathDefaults:
  runOnAvailable: curl -sf "{hook}?token=TOKEN&event=available&{sent}"
  runOnUnavailable: curl -sf "{hook}?token=TOKEN&event=unavailable&{sent}"

authMethod: http
authHTTPAddress: {hook}/auth?token=TOKEN"""


PROVIDER = ProviderParts(
    InputKind(
        "mediamtx",
        "MediaMTX",
        server_about("MediaMTX"),
        "Path",
        "Such as gdq.",
        is_keyed=True,
        can_pull=True,
        server="MediaMTX",
        setup=Setup("Lines for mediamtx.yml", _lines),
    ),
    MediaMtxWebhooks,
)
