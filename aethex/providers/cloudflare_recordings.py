"""Recordings at Cloudflare Stream.

`GET /accounts/{a}/stream/{uid}` is the video, `GET /accounts/{a}/stream/live_inputs/{uid}/videos`
those of a live input. HLS is at the address that the video names; where it has to be signed,
`POST …/{uid}/token` gives a token that stands in the address in place of the uid. An MP4 is made by
`POST …/{uid}/downloads` and asked for by GET; of live recordings only under four hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from urllib.parse import quote

from pydantic import SecretStr

from aethex.fetch import Fetcher, FetchFailed
from aethex.providers.bodies import at
from aethex.providers.notices import VIDEO_MARK
from aethex.providers.recordings import (
    RecordingAsked,
    RecordingMedia,
    RecordingNotReady,
    RecordingUnavailable,
    ask_api,
    text_at,
)
from aethex.settings import Settings

API_URL = "https://api.cloudflare.com/client/v4"
_TOKEN_LASTS = timedelta(hours=12)


class CloudflareRecordings:
    """One account's. Without a token of its API, public recordings that named their HLS."""

    name: ClassVar[str] = "cloudflare"

    def __init__(
        self, account_id: str | None, token: SecretStr | None, api_url: str = API_URL
    ) -> None:
        self._account_id = account_id
        self._token = token
        self._api_url = api_url.rstrip("/")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """With the account and its token where they are set."""
        return cls(settings.cloudflare_account_id, settings.cloudflare_api_token)

    def media(self, fetch: Fetcher, recording: RecordingAsked, now: datetime, /) -> RecordingMedia:
        """See RecordingSource."""
        uid, hls = _uid(recording), recording.hls_url
        if self._token is not None and (recording.is_to_look_up or hls is None):
            video = self._video(fetch, recording)
            uid = str(video["uid"])
            hls = text_at(video, "playback", "hls") or hls
        if hls is None:
            raise RecordingUnavailable(
                f"Cloudflare recording {uid} named no HLS address: set "
                "AETHEX_CLOUDFLARE_ACCOUNT_ID and AETHEX_CLOUDFLARE_API_TOKEN, to look it up."
            )
        if recording.is_signed:
            hls = hls.replace(uid, self._signed(fetch, uid, now), 1)
        return RecordingMedia(hls)

    def mp4(self, fetch: Fetcher, recording: RecordingAsked, now: datetime, /) -> str:
        """See RecordingSource."""
        uid = str(self._video(fetch, recording)["uid"])
        made = self._ask(fetch, "GET", f"{_part(uid)}/downloads")
        if text_at(made, "default", "status") is None:
            made = self._ask(fetch, "POST", f"{_part(uid)}/downloads", {})
        status, url = text_at(made, "default", "status"), text_at(made, "default", "url")
        if status == "error":
            raise RecordingUnavailable(
                f"Cloudflare makes no MP4 of recording {uid} (live recordings: under 4 hours)."
            )
        if status != "ready" or url is None:
            percent = at(made, "default", "percentComplete") or 0
            raise RecordingNotReady(f"Cloudflare is making an MP4 of {uid}: {percent} %.")
        return url.replace(uid, self._signed(fetch, uid, now), 1) if recording.is_signed else url

    def _video(self, fetch: Fetcher, recording: RecordingAsked) -> Mapping[str, Any]:
        """The video itself: what was told may be the id of the input that it came from."""
        uid = _uid(recording)
        try:
            return self._ask(fetch, "GET", _part(uid))
        except FetchFailed as error:
            if error.status not in (400, 404):
                raise
        videos = self._ask(fetch, "GET", f"live_inputs/{_part(uid)}/videos")
        ready = [video for video in videos if text_at(video, "status", "state") == "ready"]
        if not ready:
            raise RecordingNotReady(f"Cloudflare has no ready recording of input {uid} yet.")
        return min(ready, key=lambda video: _distance(video, recording.started_at))

    def _signed(self, fetch: Fetcher, uid: str, now: datetime) -> str:
        until = int((now + _TOKEN_LASTS).timestamp())
        asked = {"exp": until, "downloadable": True}
        token = text_at(self._ask(fetch, "POST", f"{_part(uid)}/token", asked), "token")
        if token is None:
            raise RecordingUnavailable(f"Cloudflare gave no token for recording {uid}.")
        return token

    def _ask(self, fetch: Fetcher, method: str, path: str, body: Any = None) -> Any:
        """The `result` of an answer of the API."""
        if self._token is None or self._account_id is None:
            raise RecordingUnavailable(
                "Cloudflare's API is needed for this recording: set AETHEX_CLOUDFLARE_ACCOUNT_ID "
                "and AETHEX_CLOUDFLARE_API_TOKEN."
            )
        url = f"{self._api_url}/accounts/{_part(self._account_id)}/stream/{path}"
        authorization = f"Bearer {self._token.get_secret_value()}"
        result = at(ask_api(fetch, method, url, authorization, body), "result")
        return {} if result is None else result


def _uid(recording: RecordingAsked) -> str:
    return recording.external_id.partition(VIDEO_MARK)[0]


def _part(text: str) -> str:
    return quote(text, safe="")


def _distance(video: Any, started_at: datetime | None) -> float:
    """Seconds between the video's start and the one that is looked for."""
    created = text_at(video, "created")
    if created is None or started_at is None:
        return 0.0
    try:
        return abs((datetime.fromisoformat(created) - started_at).total_seconds())
    except (ValueError, TypeError):
        return float("inf")
