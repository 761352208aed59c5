"""Where the recordings of providers are to be fetched from.

What belongs here: the protocol, and asking an API. What does not: fetching them (`aethex.workers`),
and each provider's own addresses (a file each).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from aethex.fetch import Fetcher
from aethex.providers.bodies import at

_MOST_ANSWER_BYTES = 8 * 1024**2


@dataclass(frozen=True)
class RecordingAsked:
    """A recording as its provider told of it."""

    external_id: str
    hls_url: str | None = None
    mp4_url: str | None = None
    is_signed: bool = False
    """Its addresses need a token."""
    is_to_look_up: bool = False
    """`external_id` may be a live input's."""
    started_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class RecordingMedia:
    """Addresses that can be fetched now; a token in them lasts for hours."""

    hls_url: str | None
    mp4_url: str | None = None


class RecordingNotReady(Exception):
    """It is being made: ask again later. One line."""


class RecordingUnavailable(Exception):
    """There is nothing to fetch, and waiting does not help. One line that says why."""


class RecordingSource(Protocol):
    """A provider whose recordings can be copied. Its methods raise FetchError as well."""

    name: ClassVar[str]

    def media(self, fetch: Fetcher, recording: RecordingAsked, now: datetime, /) -> RecordingMedia:
        """Where its HLS (or, without one, its MP4) is. Raises RecordingNotReady,
        RecordingUnavailable.
        """
        ...

    def mp4(self, fetch: Fetcher, recording: RecordingAsked, now: datetime, /) -> str:
        """Where it is as one MP4 file; the provider is asked to make one where it has to be.

        Raises RecordingNotReady, RecordingUnavailable.
        """
        ...


class PlainSource:
    """A server whose recordings are at the addresses that it told, or not to be had by HTTP."""

    name: ClassVar[str] = "plain"

    def media(
        self, _fetch: Fetcher, recording: RecordingAsked, _now: datetime, /
    ) -> RecordingMedia:
        """What it told."""
        if recording.hls_url is None and recording.mp4_url is None:
            raise RecordingUnavailable(
                f"Recording {recording.external_id} has no address: its server has to offer it by "
                "HTTP."
            )
        return RecordingMedia(recording.hls_url, recording.mp4_url)

    def mp4(self, _fetch: Fetcher, recording: RecordingAsked, _now: datetime, /) -> str:
        """What it told."""
        if recording.mp4_url is None:
            raise RecordingUnavailable(f"Recording {recording.external_id} has no MP4.")
        return recording.mp4_url


def ask_api(fetch: Fetcher, method: str, url: str, authorization: str, body: Any) -> Any:
    """What a provider's API answers in JSON; `body` is sent as JSON, None as nothing."""
    answer = fetch.request(
        method,
        url,
        max_bytes=_MOST_ANSWER_BYTES,
        headers={"Authorization": authorization, "Content-Type": "application/json"},
        content=None if body is None else json.dumps(body).encode(),
    )
    return answer.json()


def text_at(answer: Any, *names: str) -> str | None:
    """A text in an answer, exactly as it is (addresses may be long); None for an empty one."""
    found = at(answer, *names)
    return found if isinstance(found, str) and found else None
