"""Live inputs made at their provider, by its API.

What belongs here: what every such provider can do, and asking an API. What does not: which fields
one takes (its own file), and the rows of inputs (`aethex.library`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import httpx

from aethex.providers.base import ProviderError
from aethex.providers.bodies import items, read_json, text
from aethex.providers.notices import Unreadable
from aethex.settings import Settings

API_SECONDS = 20.0
"""How long a provider may take to answer."""


@dataclass(frozen=True, slots=True)
class MadeInput:
    """A live input as its provider made it. The stream key is a secret: shown once, never kept."""

    external_id: str
    publish_url: str
    stream_key: str = field(repr=False)


class InputMaker(Protocol):
    """A provider, ready to make live inputs."""

    name: ClassVar[str]
    needed_settings: ClassVar[tuple[str, ...]]
    """All of them are."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The provider as the settings have it; None when they say too little."""
        ...

    def make(
        self, http: httpx.Client, title: str, *, is_recorded: bool, reconnect_seconds: int
    ) -> MadeInput:
        """A new live input. Raises ProviderError."""
        ...


def ask(
    http: httpx.Client, provider: str, url: str, body: dict[str, Any], **options: Any
) -> dict[str, Any]:
    """POST to a provider's API; the answer's JSON. Raises ProviderError with what it says."""
    try:
        answer = http.post(url, json=body, **options)
    except httpx.HTTPError as error:
        raise ProviderError(f"{provider} did not answer ({error!r}): try again.") from error
    try:
        said = read_json(answer.content)
    except Unreadable:
        said = {}
    if answer.is_success:
        return said
    messages = [text(one, "message") for one in items(said, "errors")]
    messages += [str(one) for one in items(said, "error", "messages")]
    why = "; ".join(one for one in messages if one)[:300]
    remedy = " Check the token and its permissions." if answer.status_code in (401, 403) else ""
    raise ProviderError(f"{provider} answered {answer.status_code}{': ' * bool(why)}{why}.{remedy}")


def made(provider: str, external_id: str | None, url: str | None, key: str | None) -> MadeInput:
    """The input of these parts. Raises ProviderError when the answer lacked one."""
    if not external_id or not url or not key:
        raise ProviderError(f"{provider}'s answer names no input: look at its dashboard.")
    return MadeInput(external_id, url, key)
