"""SRS: HTTP callbacks in JSON. It asks before it lets somebody publish; 200 with `{"code":0}` lets.

An input's id is `app/stream`. Its stream key stands behind the name: `rtmp://host/app/stream?key=…`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar
from urllib.parse import parse_qs

from pydantic import SecretStr

from aethex.providers.bodies import digest, read_json, redact, text
from aethex.providers.kinds import InputKind, ProviderParts, Setup, server_about
from aethex.providers.notices import Notice, NoticeKind, Recording, Sent
from aethex.providers.shared_token import SharedTokenWebhooks
from aethex.settings import Settings

_SIGNALS: dict[str, NoticeKind] = {"on_publish": "connected", "on_unpublish": "disconnected"}
_SECRETS = {"param", "token", "password", "key"}
_REPEAT_SECONDS = 3600.0
"""A client's id is random but short, so it may come again after a while."""


class SrsWebhooks(SharedTokenWebhooks):
    """Callbacks of SRS servers."""

    name: ClassVar[str] = "srs"
    secret_settings: ClassVar[tuple[str, ...]] = ("AETHEX_SRS_WEBHOOK_TOKEN",)
    lets_publishers_in: ClassVar[bool] = True
    is_named_by_publishers: ClassVar[bool] = True

    @staticmethod
    def token(settings: Settings) -> SecretStr | None:
        """The token that they send along."""
        return settings.srs_webhook_token

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """Raises Unreadable."""
        return read_json(sent.body)

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without what stood behind the stream's name."""
        return redact(fields, _SECRETS)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """One notice a callback."""
        action = text(fields, "action") or ""
        app, stream = text(fields, "app"), text(fields, "stream")
        path = f"{app}/{stream}" if app and stream else None
        key = digest(cls.redacted(fields))
        if action == "on_dvr" and path and text(fields, "file"):
            file = str(PurePosixPath(text(fields, "cwd") or "/", text(fields, "file") or ""))
            server = text(fields, "server_id") or "srs"
            recording = Recording(f"{server}:{file}", "ready", path=file)
            return [Notice("recording", key, None, path, recording=recording, note=action)]
        kind: NoticeKind = _SIGNALS.get(action, "unknown") if path else "unknown"
        given = parse_qs((text(fields, "param") or "").lstrip("?"))
        return [
            Notice(
                kind,
                key,
                None,
                path,
                _REPEAT_SECONDS,
                note=action,
                is_publish_request=kind == "connected",
                stream_key=given.get("key", [None])[0],
            )
        ]


def _lines(url: str, _known_as: str) -> str:
    return f"""http_hooks {{
    enabled       on;
    on_publish    {url}/webhooks/srs?token=TOKEN;
    on_unpublish  {url}/webhooks/srs?token=TOKEN;
}}"""


PROVIDER = ProviderParts(
    InputKind(
        "srs",
        "SRS",
        server_about("SRS"),
        "App and stream",
        "Such as live/gdq.",
        is_keyed=True,
        can_pull=True,
        server="SRS",
        setup=Setup("Lines for srs.conf", _lines),
    ),
    SrsWebhooks,
)
