"""nginx-rtmp: notifications as forms. A `publish` that is not answered 2xx is not let in.

An input's id is `app/name`. Its stream key stands behind the name, `rtmp://host/app/name?key=…`,
and comes as the form's field `key`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import SecretStr

from aethex.providers.bodies import digest, read_form, redact, text
from aethex.providers.kinds import InputKind, ProviderParts, Setup, server_about
from aethex.providers.notices import Notice, NoticeKind, Recording, Sent
from aethex.providers.shared_token import SharedTokenWebhooks
from aethex.settings import Settings

_SIGNALS: dict[str, NoticeKind] = {"publish": "connected", "publish_done": "disconnected"}
_KEPT = {"call", "app", "flashver", "addr", "clientid", "name", "type", "recorder", "path"}
_SAID_ONCE = ("call", "app", "name")
"""What a publisher puts behind the name is put into the form too, as it is: another `name` there
would be somebody else's.
"""
_AT_ONCE_SECONDS = 5.0
"""Its clients are numbered anew with each start, so the same form is soon something new."""


class NginxRtmpWebhooks(SharedTokenWebhooks):
    """Notifications of nginx-rtmp servers."""

    name: ClassVar[str] = "nginx_rtmp"
    secret_settings: ClassVar[tuple[str, ...]] = ("AETHEX_NGINX_RTMP_WEBHOOK_TOKEN",)
    lets_publishers_in: ClassVar[bool] = True
    is_named_by_publishers: ClassVar[bool] = True

    @staticmethod
    def token(settings: Settings) -> SecretStr | None:
        """The token that they send along."""
        return settings.nginx_rtmp_webhook_token

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """Raises Unreadable."""
        return read_form(sent.body, said_once=_SAID_ONCE)

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Only nginx-rtmp's own fields: whatever stood behind the name comes as a field too."""
        return redact({name: value for name, value in fields.items() if name in _KEPT}, ())

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """One notice a call."""
        call, app, name = (text(fields, part) for part in ("call", "app", "name"))
        path = f"{app}/{name}" if app and name else None
        key = digest(cls.redacted(fields))
        if call == "record_done" and path and (file := text(fields, "path")):
            recording = Recording(file, "ready", path=file)
            return [Notice("recording", key, None, path, recording=recording, note=call)]
        kind: NoticeKind = _SIGNALS.get(call or "", "unknown") if path else "unknown"
        return [
            Notice(
                kind,
                key,
                None,
                path,
                _AT_ONCE_SECONDS,
                note=call or "",
                is_publish_request=call == "publish",
                stream_key=text(fields, "key"),
            )
        ]


def _lines(url: str, known_as: str) -> str:
    app, slash, _ = known_as.partition("/")
    return f"""application {app if slash else "live"} {{
    live on;
    on_publish       {url}/webhooks/nginx_rtmp?token=TOKEN;
    on_publish_done  {url}/webhooks/nginx_rtmp?token=TOKEN;
}}"""


PROVIDER = ProviderParts(
    InputKind(
        "nginx_rtmp",
        "nginx-rtmp",
        server_about("nginx-rtmp"),
        "App and name",
        "Such as live/gdq.",
        is_keyed=True,
        can_pull=True,
        server="nginx",
        setup=Setup(
            "Lines for nginx.conf",
            _lines,
            "nginx-rtmp speaks plain HTTP: give it the service's address in your own network.",
        ),
    ),
    NginxRtmpWebhooks,
)
