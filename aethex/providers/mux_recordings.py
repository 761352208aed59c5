"""Recordings at Mux.

HLS is at `https://stream.mux.com/{PLAYBACK_ID}.m3u8`, an MP4 at `…/{PLAYBACK_ID}/{file name}`. What
only a signed playback id leads to is fetched as its master instead, an MP4 that the API makes
available for a day (`PUT /video/v1/assets/{id}/master-access`): so no signing key is needed.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, ClassVar, Self
from urllib.parse import quote

from pydantic import SecretStr

from aethex.fetch import Fetcher
from aethex.providers.bodies import at
from aethex.providers.recordings import (
    RecordingAsked,
    RecordingMedia,
    RecordingNotReady,
    RecordingUnavailable,
    ask_api,
    text_at,
)
from aethex.settings import Settings

API_URL = "https://api.mux.com"


class MuxRecordings:
    """One environment's. Without an access token, those with a public playback id."""

    name: ClassVar[str] = "mux"

    def __init__(
        self,
        token_id: str | None,
        secret: SecretStr | None,
        api_url: str = API_URL,
    ) -> None:
        self._token_id = token_id
        self._secret = secret
        self._api_url = api_url.rstrip("/")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """With the access token where it is set."""
        return cls(settings.mux_token_id, settings.mux_token_secret)

    def media(self, fetch: Fetcher, recording: RecordingAsked, now: datetime, /) -> RecordingMedia:
        """See RecordingSource."""
        if recording.is_signed or recording.hls_url is None:
            return RecordingMedia(None, self.mp4(fetch, recording, now))
        return RecordingMedia(recording.hls_url, recording.mp4_url)

    def mp4(self, fetch: Fetcher, recording: RecordingAsked, _now: datetime, /) -> str:
        """The static rendition that it told of, else the master."""
        if recording.mp4_url is not None and not recording.is_signed:
            return recording.mp4_url
        asset = self._ask(fetch, "GET", "", recording, None)
        if text_at(asset, "master", "status") not in ("ready", "preparing"):
            wanted = {"master_access": "temporary"}
            asset = self._ask(fetch, "PUT", "/master-access", recording, wanted)
        status, url = text_at(asset, "master", "status"), text_at(asset, "master", "url")
        if status == "errored":
            raise RecordingUnavailable(f"Mux cannot make a master of {recording.external_id}.")
        if status != "ready" or url is None:
            raise RecordingNotReady(f"Mux is making the master of {recording.external_id}.")
        return url

    def _ask(
        self, fetch: Fetcher, method: str, path: str, recording: RecordingAsked, body: Any
    ) -> Any:
        """The `data` of an answer of the API about this asset."""
        if self._token_id is None or self._secret is None:
            raise RecordingUnavailable(
                "Mux' API is needed for this recording: set AETHEX_MUX_TOKEN_ID and "
                "AETHEX_MUX_TOKEN_SECRET."
            )
        asset = quote(recording.external_id, safe="")
        pair = f"{self._token_id}:{self._secret.get_secret_value()}".encode()
        url = f"{self._api_url}/video/v1/assets/{asset}{path}"
        authorization = f"Basic {base64.b64encode(pair).decode()}"
        return at(ask_api(fetch, method, url, authorization, body), "data")
