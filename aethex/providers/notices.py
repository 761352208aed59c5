"""Webhooks: what every provider's are read as, and what reading one takes.

What belongs here: the shapes that all providers share. What does not: any one provider's form, who
is asked when (the service), and what becomes of a notice (the service's `inbox`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, Self

from aethex.providers.base import ProviderError
from aethex.settings import Settings

NoticeKind = Literal["connected", "disconnected", "ended", "recording", "unknown"]
RecordingState = Literal["pending", "ready", "failed"]
FOR_EVER: None = None

VIDEO_MARK = "@"
"""Between an input's id and when its video began, where that is all that is told of the video."""


class Refused(ProviderError):
    """A webhook that is not its provider's, or not of now. One line with the remedy."""


class Unreadable(ProviderError):
    """A body that is not what its content type says."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came. Header names are in lower case; `address` is the sender's."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    address: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a notice says of a recording. None: it says nothing of that."""

    external_id: str
    state: RecordingState
    hls_url: str | None = None
    mp4_url: str | None = None
    path: str | None = None
    is_signed: bool | None = None
    is_to_look_up: bool | None = None
    duration_seconds: float | None = None
    size_bytes: int | None = None
    started_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a provider tells.

    key: the same for repeats, among all of the provider's; None: its provider says nothing by which
        a repeat could be known, so that only what comes again at once is one. `source:<id>:…` says
        by which connection somebody publishes (`library.spells`).
    repeat_seconds: how long a repeat can be told from something new by its key; None: for ever.
    at: when it happened, by the provider's clock; None: it does not say.
    input_id: the provider's id of the input.
    reconnect_seconds: how long after a disconnect its provider awaits a reconnect, where it says.
    stream_key: the key that a publisher gave, where the provider asks whether it may publish. It is
        a secret and stored nowhere.
    """

    kind: NoticeKind
    key: str | None
    at: datetime | None = None
    input_id: str | None = None
    repeat_seconds: float | None = FOR_EVER
    recording: Recording | None = None
    title: str | None = None
    reconnect_seconds: int | None = None
    note: str = ""
    is_publish_request: bool = False
    stream_key: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """Its kind in the inbox: `connected`, `recording ready` …"""
        return f"recording {self.recording.state}" if self.recording else self.kind


class WebhookSource(Protocol):
    """One provider's webhooks."""

    name: ClassVar[str]
    secret_settings: ClassVar[tuple[str, ...]]
    """The settings without which nothing of it can be verified; one of them is enough."""
    lets_publishers_in: ClassVar[bool]
    """Whether its server lets a publisher in unless it is answered that it may not."""
    is_named_by_publishers: ClassVar[bool]
    """Whether who publishes chooses the input's id, so that anybody can make up many of them."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The provider as the settings have it; None without a secret."""
        ...

    def verify(self, sent: Sent, now: datetime, /) -> None:
        """Raises Refused unless the provider itself sent these bytes, lately where it says when."""
        ...

    @classmethod
    def fields(cls, sent: Sent) -> dict[str, Any]:
        """The body as it says; raises Unreadable."""
        ...

    @classmethod
    def redacted(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields without secrets. `read` says the same of them, but for `stream_key`."""
        ...

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> list[Notice]:
        """What the fields say; an unknown event is a notice too. Never raises."""
        ...
