"""How people sign in: sessions, passwords, an OpenID Connect issuer.

What belongs here: settings of whoever has an account. What does not: viewers without one, who are
counted (`events.py`).
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from aethex.settings.group import SettingsGroup
from aethex.settings.values import Issuer, Listed


class SignInSettings(SettingsGroup):
    """Sessions, passwords and the issuer."""

    session_days: float = Field(
        default=30,
        gt=0,
        description="How long somebody stays signed in after the last use, in days.",
    )
    password_memory_bytes: int = Field(
        default=64 * 1024**2,
        ge=8 * 1024,
        le=2 * 1024**3,
        description="Memory that hashing one password takes, in bytes (argon2id, three passes); "
        "each service process hashes two at once. Changed, passwords follow as people sign in.",
    )

    oidc_issuer: Issuer | None = Field(
        default=None,
        description="OpenID Connect issuer that people sign in with, exactly as its discovery "
        "document names it, such as https://id.example.org/realms/main. Empty: none.",
    )
    oidc_client_id: str | None = Field(
        default=None, description="Id that the issuer knows this service by."
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Secret of that client. Empty: it is a public one."
    )
    oidc_audience: str | None = Field(
        default=None,
        description="Audience (aud) that bearer tokens must be for. Empty: the client id.",
    )
    oidc_clock_skew_seconds: int = Field(
        default=60,
        ge=0,
        le=600,
        description="How far the issuer's clock may be from ours, in seconds.",
    )
    oidc_name: str | None = Field(
        default=None,
        description="What the issuer is called on pages: `Sign in with <name>`. Empty: its host.",
    )
    oidc_scopes: Listed = Field(
        default=("openid", "profile"),
        description="Scopes that a browser's sign-in asks for, separated by commas.",
    )
    oidc_role_claim: str | None = Field(
        default=None,
        description="Claim that says somebody's role, such as groups or realm_access.roles; it is "
        "asked at each sign-in. Empty: the issuer has no say in roles.",
    )
    oidc_analyst_values: Listed = Field(
        default=(), description="Values of that claim that make an analyst, separated by commas."
    )
    oidc_admin_values: Listed = Field(
        default=(), description="Values of that claim that make an admin, separated by commas."
    )

    @model_validator(mode="after")
    def _issuer_needs_a_client(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("AETHEX_OIDC_ISSUER is set: set AETHEX_OIDC_CLIENT_ID too")
        return self
