"""Providers tell of streams and recordings, without HTTP.

What belongs here: inputs, and taking webhooks as the route does. What does not: the webhooks
themselves (`tests/providers/hooks.py`), and what has to be true.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aethex.library import Channel, Library, inputs
from aethex.providers import WEBHOOKS
from aethex.service import inbox
from aethex.settings import Settings
from tests.providers.hooks import Hook, with_secrets

START = datetime(2026, 1, 30, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = START + timedelta(days=1)


def taker(settings: Settings, library: Library) -> Callable[..., None]:
    """Takes webhooks as the route does, at a time that may be given."""

    def taken(*sent: Hook, at: datetime = LATER) -> None:
        for hook in sent:
            source = WEBHOOKS[hook.provider].from_settings(with_secrets(settings))
            assert source is not None
            with library.session() as s:
                kept = inbox.keep(s, source, *inbox.read(source, hook.sent()), at).waiting
            for event_id in kept:
                inbox.apply(library, event_id, at)

    return taken


def add(library: Library, channel: Channel, provider: str, external_id: str, **options: Any) -> str:
    """A new input of the channel; its id."""
    with library.session() as s:
        return inputs.add_input(s, channel.id, provider, external_id, **options).id
