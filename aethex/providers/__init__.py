"""Video providers and servers, one file each: what the platform asks them.

What belongs here: their addresses, answers and errors. What does not: when they are asked (the
service's collector), and what becomes of an answer.

A provider is a module with a class that has the methods of `base.Provider`; `PROVIDERS` names them.
"""

from __future__ import annotations

from aethex.providers.base import Provider, ProviderError
from aethex.providers.cloudflare_stream import CloudflareStream
from aethex.settings import Settings

PROVIDERS: dict[str, type[Provider]] = {CloudflareStream.name: CloudflareStream}
"""All providers by the name that inputs and samples have."""


def configured_providers(settings: Settings) -> dict[str, Provider]:
    """Those that the settings say enough about to be asked."""
    found = {name: kind.from_settings(settings) for name, kind in PROVIDERS.items()}
    return {name: provider for name, provider in found.items() if provider is not None}


__all__ = ["PROVIDERS", "CloudflareStream", "Provider", "ProviderError", "configured_providers"]
