"""Video providers and servers, one file each: what the platform asks them, and what they tell it.

What belongs here: their addresses, answers and errors, and how their webhooks are verified and
read. What does not: when they are asked (the service's collector), and what becomes of an answer or
a notice.

A provider is a module here with a `PROVIDER` (`kinds.ProviderParts`): it is found by that, so that
a new one touches nothing else but the setting of its secret (`aethex/settings/providers.py`).
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from aethex.providers.base import Provider, ProviderError
from aethex.providers.kinds import InputKind, ProviderParts, Setup
from aethex.providers.making import InputMaker, MadeInput
from aethex.providers.notices import (
    VIDEO_MARK,
    Notice,
    Recording,
    Refused,
    Sent,
    Unreadable,
    WebhookSource,
)
from aethex.settings import Settings


def _found() -> dict[str, ProviderParts]:
    """Those that record first, then by their titles."""
    modules = [import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)]
    found: list[ProviderParts] = [one.PROVIDER for one in modules if hasattr(one, "PROVIDER")]
    found.sort(key=lambda one: (not one.kind.is_recorded_there, one.kind.title.casefold()))
    return {one.kind.name: one for one in found}


ALL = _found()
"""All providers, by the name that inputs and webhooks' addresses have."""

PROVIDERS = {name: one.viewers for name, one in ALL.items() if one.viewers is not None}
"""Those whose viewers can be counted."""

WEBHOOKS = {name: one.webhooks for name, one in ALL.items()}
"""What reads each one's webhooks."""

INPUT_MAKERS = {name: one.maker for name, one in ALL.items() if one.maker is not None}
"""Those by whose API live inputs can be made."""


def configured_providers(settings: Settings) -> dict[str, Provider]:
    """Those that the settings say enough about to be asked."""
    found = {name: kind.from_settings(settings) for name, kind in PROVIDERS.items()}
    return {name: provider for name, provider in found.items() if provider is not None}


__all__ = [
    "ALL",
    "INPUT_MAKERS",
    "PROVIDERS",
    "VIDEO_MARK",
    "WEBHOOKS",
    "InputKind",
    "InputMaker",
    "MadeInput",
    "Notice",
    "Provider",
    "ProviderError",
    "ProviderParts",
    "Recording",
    "Refused",
    "Sent",
    "Setup",
    "Unreadable",
    "WebhookSource",
    "configured_providers",
]
