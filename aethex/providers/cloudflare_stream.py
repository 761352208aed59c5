"""Cloudflare Stream: live inputs made, their viewers, and webhooks of videos and live inputs.

`GET https://customer-<CODE>.cloudflarestream.com/<INPUT_ID>/views` answers `{"liveViewers": 113}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote

import httpx
import msgspec
from pydantic import SecretStr

from aethex.providers.base import ProviderError
from aethex.providers.bodies import at, digest, moment, read_json, redact, seconds, text, whole
from aethex.providers.kinds import ProviderParts, dashboard_kind
from aethex.providers.making import MadeInput, ask, made
from aethex.providers.notices import Notice, NoticeKind, Recording, Refused, Sent
from aethex.providers.verifying import check_shared, check_signature
from aethex.settings import Settings

API_URL = "https://api.cloudflare.com/client/v4"

_SIGNALS: dict[str, NoticeKind] = {
    "live_input.connected": "connected",
    "live_input.disconnected": "disconnected",
}
_SECRETS = {"streamkey", "stream_key", "passphrase", "token", "secret", "password"}


class _Views(msgspec.Struct):
    # beyond 2^53 it is no count, and no column would hold it
    live_viewers: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = msgspec.field(name="liveViewers")


_views = msgspec.json.Decoder(_Views)


class CloudflareStream:
    """One customer's Cloudflare Stream."""

    name: ClassVar[str] = "cloudflare"

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With the customer's address (`AETHEX_CLOUDFLARE_STREAM_URL`)."""
        return cls(settings.cloudflare_stream_url) if settings.cloudflare_stream_url else None

    async def count_viewers(self, http: httpx.AsyncClient, external_id: str) -> int:
        """Viewers of a live input now. Raises ProviderError."""
        url = f"{self._url}/{quote(external_id, safe='')}/views"
        try:
            answer = await http.get(url)
            answer.raise_for_status()
            return _views.decode(answer.content).live_viewers
        except httpx.HTTPStatusError as error:
            raise ProviderError(
                f"Cloudflare Stream answered {error.response.status_code} for input {external_id}."
            ) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ProviderError(
                f"{self._url} is no address ({error}): correct AETHEX_CLOUDFLARE_STREAM_URL."
            ) from error
        except httpx.HTTPError as error:
            raise ProviderError(
                f"Cloudflare Stream did not answer for input {external_id}: {error!r}."
            ) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProviderError(
                f"Cloudflare Stream's answer for input {external_id} has no viewers: {error}."
            ) from error


class CloudflareWebhooks:
    """An account's webhooks: of videos, which are signed (`Webhook-Signature:
    time=<unix>,sig1=<hex>`), and notifications of live inputs, which bring the secret along as it
    is (`cf-webhook-auth`).

    A video's webhook is the video itself and has no type; it comes when processing has ended. Its
    uid may be a live input's, for each of its videos: then the copy asks for that input's videos.
    """

    name: ClassVar[str] = "cloudflare"
    secret_settings: ClassVar[tuple[str, ...]] = (
        "AETHEX_CLOUDFLARE_WEBHOOK_SECRET",
        "AETHEX_CLOUDFLARE_NOTIFICATION_SECRET",
    )
    lets_publishers_in: ClassVar[bool] = False
    is_named_by_publishers: ClassVar[bool] = False

    def __init__(
        self, signing: SecretStr | None, notification: SecretStr | None, tolerance_seconds: float
    ) -> None:
        self._signing = signing
        self._notification = notification
        self._tolerance_seconds = tolerance_seconds

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With one secret or both; what the other would sign is refused."""
        signing = settings.cloudflare_webhook_secret
        notification = settings.cloudflare_notification_secret
        if signing is None and notification is None:
            return None
        return cls(signing, notification, settings.webhook_tolerance_seconds)

    def verify(self, sent: Sent, now: datetime, /) -> None:
        """Raises Refused."""
        is_notification = "cf-webhook-auth" in sent.headers and (
            "webhook-signature" not in sent.headers
        )
        secret = self._notification if is_notification else self._signing
        if secret is None:
            missing = self.secret_settings[1 if is_notification else 0]
            raise Refused(f"This webhook cannot be verified: set {missing}.")
        if is_notification:
            check_shared(sent.headers["cf-webhook-auth"], secret, "as cf-webhook-auth")
            return
        header = sent.headers.get("webhook-signature")
        names = ("time", "sig1")
        check_signature(header, names, secret, sent.body, now, self._tolerance_seconds)

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """Raises Unreadable."""
        return read_json(sent.body)

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without keys and tokens, which neither kind is documented to hold."""
        return redact(fields, _SECRETS)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """One notice a webhook."""
        key = digest(cls.redacted(fields))
        event = text(fields, "data", "event_type")
        if event is not None:
            kind = _SIGNALS.get(event, "unknown")
            told_at = moment(fields, "data", "updated_at") or moment(fields, "ts")
            error = text(fields, "data", "live_input_errored", "error", "message")
            note = f"{event}: {error}" if error else event
            return [Notice(kind, key, told_at, text(fields, "data", "input_id"), note=note)]
        uid = text(fields, "uid")
        if uid is None:
            return [Notice("unknown", key, note=text(fields, "name") or "")]
        told_at = moment(fields, "modified") or moment(fields, "created")
        live_id = text(fields, "liveInput")
        recording = _recording(uid, fields)
        return [Notice("recording", key, told_at, live_id, recording=recording, note="video")]


def _recording(uid: str, fields: Mapping[str, Any]) -> Recording:
    state = text(fields, "status", "state")
    errors = [
        text(fields, "status", f"{start}Reason{end}")
        for start in ("error", "err")  # the documentation has both
        for end in ("Code", "Text")
    ]
    details = {
        "error": ": ".join(error for error in errors if error),
        "name": text(fields, "meta", "name"),
        "width": whole(fields, "input", "width"),
        "height": whole(fields, "input", "height"),
    }
    is_ready = state == "ready" and fields.get("readyToStream") is True
    return Recording(
        external_id=uid,
        state="failed" if state == "error" else "ready" if is_ready else "pending",
        hls_url=text(fields, "playback", "hls"),
        is_signed=fields.get("requireSignedURLs") is True,
        is_to_look_up=text(fields, "liveInput") in (None, uid),
        duration_seconds=seconds(fields, "duration"),
        size_bytes=whole(fields, "size"),
        started_at=moment(fields, "created"),
        details={name: value for name, value in details.items() if value},
    )


class CloudflareInputs:
    """Makes live inputs: `POST /accounts/{id}/stream/live_inputs`, which answers with `uid` and
    `rtmps{url, streamKey}` in `result`.
    """

    name: ClassVar[str] = "cloudflare"
    needed_settings: ClassVar[tuple[str, ...]] = (
        "AETHEX_CLOUDFLARE_ACCOUNT_ID",
        "AETHEX_CLOUDFLARE_API_TOKEN",
    )

    def __init__(self, account_id: str, token: SecretStr, api_url: str = API_URL) -> None:
        self._url = f"{api_url}/accounts/{quote(account_id, safe='')}/stream/live_inputs"
        self._token = token

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With the account's id and an API token that may edit Stream."""
        account_id, token = settings.cloudflare_account_id, settings.cloudflare_api_token
        return cls(account_id, token, API_URL) if account_id and token else None

    def make(
        self,
        http: httpx.Client,
        title: str,
        *,
        is_recorded: bool,
        reconnect_seconds: int,  # noqa: ARG002 (its own wait concerns recordings alone)
    ) -> MadeInput:
        """A new live input. Raises ProviderError."""
        body: dict[str, Any] = {
            "meta": {"name": title},
            "recording": {"mode": "automatic" if is_recorded else "off"},
        }
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        said = at(ask(http, "Cloudflare", self._url, body, headers=headers), "result")
        url, key = text(said, "rtmps", "url"), text(said, "rtmps", "streamKey")
        return made("Cloudflare", text(said, "uid"), url, key)


PROVIDER = ProviderParts(
    dashboard_kind("cloudflare", "Cloudflare Stream", "input"),
    CloudflareWebhooks,
    CloudflareInputs,
    CloudflareStream,
)
