"""Video providers and servers: what they are asked with, and what their webhooks are verified by.

What belongs here: addresses, tokens and secrets of each. What does not: our own recorder
(`video.py`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import NoDecode

from aethex.settings.group import SettingsGroup
from aethex.settings.values import listed


class ProviderSettings(SettingsGroup):
    """What each provider is asked with and verified by."""

    cloudflare_stream_url: str | None = Field(
        default=None,
        description="Address of your Cloudflare Stream, https://customer-<code>."
        "cloudflarestream.com: viewers of its live inputs are counted each minute. Empty: not.",
    )

    cloudflare_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Secret that Cloudflare Stream signs its webhooks of videos with. Empty: they "
        "are refused.",
    )
    cloudflare_notification_secret: SecretStr | None = Field(
        default=None,
        description="Secret that Cloudflare's notifications of live inputs bring along "
        "(cf-webhook-auth). Empty: they are refused.",
    )
    cloudflare_account_id: str | None = Field(
        default=None, description="Cloudflare account whose Stream is asked by its API."
    )
    cloudflare_api_token: SecretStr | None = Field(
        default=None, description="API token of that account, with Stream:Edit."
    )
    mux_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signing secret of Mux' webhooks. Empty: they are refused.",
    )
    mux_token_id: str | None = Field(
        default=None, description="Id of the access token by which Mux is asked by its API."
    )
    mux_token_secret: SecretStr | None = Field(
        default=None, description="Secret of that Mux access token."
    )
    mediamtx_webhook_token: SecretStr | None = Field(
        default=None, description="Token that MediaMTX' hooks send along. Empty: they are refused."
    )
    srs_webhook_token: SecretStr | None = Field(
        default=None, description="Token that SRS' callbacks send along. Empty: they are refused."
    )
    nginx_rtmp_webhook_token: SecretStr | None = Field(
        default=None,
        description="Token that nginx-rtmp's notifications send along. Empty: they are refused.",
    )
    owncast_webhook_token: SecretStr | None = Field(
        default=None,
        description="Token that Owncast's webhooks send along. Empty: they are refused.",
    )
    webhook_tolerance_seconds: float = Field(
        default=300,
        gt=0,
        description="How far from now a webhook's signed time may be, in seconds.",
    )
    webhook_senders: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(listed)] = (
        Field(
            default=(),
            description="Addresses and networks of the MediaMTX, SRS, nginx-rtmp and Owncast "
            "servers that may send webhooks, such as 192.0.2.7,10.0.0.0/8, separated by commas. "
            "Empty: the token alone decides.",
        )
    )
