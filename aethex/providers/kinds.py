"""What a provider's file says of it: its inputs as people add them, and what it can do.

What belongs here: these two shapes. What does not: any one provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aethex.providers.base import Provider
from aethex.providers.making import InputMaker
from aethex.providers.notices import WebhookSource


@dataclass(frozen=True, slots=True)
class Setup:
    """What a server of one's own has to be told.

    label: what the lines are. lines: from the service's address and the input's id; TOKEN in them
    stands for the platform's secret, which only its operator knows. note: what else to know.
    """

    label: str
    lines: Callable[[str, str], str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class InputKind:
    """A kind of input: what people are told of it, and what a new one starts with.

    name: as rows, addresses and commands have it. title: as people call it.
    about: a sentence on what it is for.
    id_label, id_hint: of the id that it is known by there; no label: it is known by our own id.
    is_keyed: it gets a stream key from us. is_recorded_there: its provider records.
    can_pull, must_pull: an address to pull from can, has to be given.
    reconnect_seconds: how long after a disconnect a connect continues the stream.
    server: of servers that encoders publish to by RTMP, as people call them.
    """

    name: str
    title: str
    about: str
    id_label: str | None = None
    id_hint: str = ""
    is_keyed: bool = False
    is_recorded_there: bool = False
    can_pull: bool = False
    must_pull: bool = False
    reconnect_seconds: int = 60
    server: str | None = None
    setup: Setup | None = None


@dataclass(frozen=True, slots=True)
class ProviderParts:
    """A provider, all in one: its inputs, and the classes behind what it can do."""

    kind: InputKind
    webhooks: type[WebhookSource]
    maker: type[InputMaker] | None = None
    """By whose API live inputs can be made."""
    viewers: type[Provider] | None = None
    """Whose viewers can be counted."""


def dashboard_kind(name: str, title: str, noun: str) -> InputKind:
    """The kind of a provider that has a dashboard and records by itself."""
    return InputKind(
        name,
        title,
        f"Your streams go to {title}, which records them.",
        f"Id of the live {noun}",
        f"As {title}'s dashboard shows it.",
        is_recorded_there=True,
    )


def server_about(title: str) -> str:
    """What a server of one's own is for."""
    return f"Your own {title} tells us when a stream begins and ends."
