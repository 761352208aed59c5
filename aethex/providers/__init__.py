"""Video providers and servers, one file each: what the platform asks them, and what they tell it.

What belongs here: their addresses, answers and errors, and how their webhooks are verified and
read. What does not: when they are asked (the service's collector), and what becomes of an answer or
a notice.

A provider is a module with a class that has the methods of `base.Provider` (its viewers can be
counted), of `notices.WebhookSource` (it sends webhooks), of `making.InputMaker` (live inputs are
made by its API), or one class for each; `PROVIDERS`, `WEBHOOKS` and `INPUT_MAKERS` name them.
"""

from __future__ import annotations

from aethex.providers.base import Provider, ProviderError
from aethex.providers.cloudflare_stream import (
    CloudflareInputs,
    CloudflareStream,
    CloudflareWebhooks,
)
from aethex.providers.making import InputMaker, MadeInput
from aethex.providers.mediamtx import MediaMtxWebhooks
from aethex.providers.mux import MuxInputs, MuxWebhooks
from aethex.providers.nginx_rtmp import NginxRtmpWebhooks
from aethex.providers.notices import Notice, Recording, Refused, Sent, Unreadable, WebhookSource
from aethex.providers.owncast import OwncastWebhooks
from aethex.providers.srs import SrsWebhooks
from aethex.settings import Settings

PROVIDERS: dict[str, type[Provider]] = {CloudflareStream.name: CloudflareStream}
"""Those whose viewers can be counted, by the name that inputs and samples have."""

WEBHOOKS: dict[str, type[WebhookSource]] = {
    source.name: source
    for source in (
        CloudflareWebhooks,
        MuxWebhooks,
        MediaMtxWebhooks,
        SrsWebhooks,
        NginxRtmpWebhooks,
        OwncastWebhooks,
    )
}
"""Those that send webhooks, by the name that inputs and the webhooks' addresses have."""

INPUT_MAKERS: dict[str, type[InputMaker]] = {
    maker.name: maker for maker in (CloudflareInputs, MuxInputs)
}
"""Those by whose API live inputs can be made."""


def configured_providers(settings: Settings) -> dict[str, Provider]:
    """Those that the settings say enough about to be asked."""
    found = {name: kind.from_settings(settings) for name, kind in PROVIDERS.items()}
    return {name: provider for name, provider in found.items() if provider is not None}


__all__ = [
    "INPUT_MAKERS",
    "PROVIDERS",
    "WEBHOOKS",
    "CloudflareStream",
    "InputMaker",
    "MadeInput",
    "Notice",
    "Provider",
    "ProviderError",
    "Recording",
    "Refused",
    "Sent",
    "Unreadable",
    "WebhookSource",
    "configured_providers",
]
