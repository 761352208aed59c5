"""Owncast: webhooks in JSON, `{"type", "eventData"}`. One server is one input.

Nothing in an event says which server sent it, so the webhook's address does: `?input=<id>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast
from urllib.parse import quote

from pydantic import SecretStr

from aethex.providers.bodies import at, moment, read_json, redact, text
from aethex.providers.kinds import InputKind, ProviderParts, Setup, server_about
from aethex.providers.notices import Notice, NoticeKind, Sent
from aethex.providers.shared_token import SharedTokenWebhooks
from aethex.settings import Settings

_INPUT = "input"
_DEFAULT_INPUT = "owncast"
_SIGNALS: dict[str, NoticeKind] = {
    "STREAM_STARTED": "connected",
    "STREAM_STOPPED": "disconnected",  # it cannot tell a lost line from an end
}
_KEPT = {"id", "name", "summary", "streamTitle", "timestamp"}


class OwncastWebhooks(SharedTokenWebhooks):
    """Webhooks of Owncast servers."""

    name: ClassVar[str] = "owncast"
    secret_settings: ClassVar[tuple[str, ...]] = ("AETHEX_OWNCAST_WEBHOOK_TOKEN",)

    @staticmethod
    def token(settings: Settings) -> SecretStr | None:
        """The token that they send along."""
        return settings.owncast_webhook_token

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """The body and the address's `input`. Raises Unreadable."""
        return read_json(sent.body) | {_INPUT: sent.query.get(_INPUT, _DEFAULT_INPUT)}

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Of streams what they say; of the rest (chat, people) nothing but the kind and the id."""
        data = at(fields, "eventData")
        given = cast("Mapping[str, Any]", data if isinstance(data, Mapping) else {})
        kept = _KEPT if text(fields, "type") in _SIGNALS else {"id", "timestamp"}
        return redact(
            {
                "type": fields.get("type"),
                _INPUT: fields.get(_INPUT),
                "eventData": {name: value for name, value in given.items() if name in kept},
            },
            (),
        )

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """One notice an event; an event's id is the server's own, so its input stands before it."""
        kind, data = text(fields, "type") or "", at(fields, "eventData")
        event_id, input_id = text(data, "id"), text(fields, _INPUT)
        signal: NoticeKind = _SIGNALS.get(kind, "unknown")
        title = text(data, "streamTitle") if signal == "connected" else None
        return [
            Notice(
                signal,
                f"{input_id}:{kind}:{event_id}" if event_id else None,
                moment(data, "timestamp"),
                input_id,
                title=title,
                note=kind,
            )
        ]


def _lines(url: str, known_as: str) -> str:
    return f"{url}/webhooks/owncast?token=TOKEN&input={quote(known_as, safe='')}"


PROVIDER = ProviderParts(
    InputKind(
        "owncast",
        "Owncast",
        server_about("Owncast"),
        "Id",
        "Any word of yours; it stands in the webhook's address.",
        can_pull=True,
        reconnect_seconds=300,  # it shows its offline picture for as long
        setup=Setup(
            "Address of the webhook",
            _lines,
            'In Owncast\'s admin under Integrations, Webhooks, for "stream started" and '
            '"stream stopped".',
        ),
    ),
    OwncastWebhooks,
)
