"""Signing in with the configured issuer, and reading its bearer tokens.

What belongs here: the order of the steps. What does not: each of them (the modules beside this
one), and what becomes of who signed in (`bearer`, `pages/oidc.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from aethex.service.oidc.claims import Person, lacks, person_from
from aethex.service.oidc.errors import IssuerUnreachable, TokenRefused
from aethex.service.oidc.flow import Attempt, Attempts
from aethex.service.oidc.issuer import Issuer
from aethex.service.oidc.tokens import BEARER_TYPES, ID_TOKEN_TYPES, Expected, read_token
from aethex.settings import Settings

CALLBACK_PATH = "/sign-in/oidc/callback"


class Oidc:
    """The issuer of these settings. Threads may share it."""

    def __init__(
        self, settings: Settings, issuer: Issuer, key: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        self.attempts = Attempts(key)
        self._settings = settings
        self._issuer = issuer
        self._clock = clock
        self._client_id = settings.oidc_client_id or ""

    @classmethod
    def from_settings(cls, settings: Settings, key: bytes) -> Self | None:
        """None where no issuer is configured."""
        return cls(settings, Issuer(settings), key) if settings.oidc_issuer else None

    @property
    def issuer(self) -> str:
        """Its name in tokens."""
        return self._issuer.url

    @property
    def name(self) -> str:
        """Its name for people."""
        return self._settings.oidc_name or urlsplit(self.issuer).netloc

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends people back to; it has to know this address."""
        return self._settings.effective_public_url + CALLBACK_PATH

    def close(self) -> None:
        """Close what is still connected to the issuer."""
        self._issuer.close()

    def bearer(self, token: str) -> Person:
        """Whose bearer token this is. Raises TokenRefused, IssuerUnreachable."""
        audience = self._settings.oidc_audience or self._client_id
        # a token for an API of its own may have been issued to any client of the issuer
        client_id = None if self._settings.oidc_audience else self._client_id
        claims = self._read(token, audience, client_id, BEARER_TYPES)
        return person_from(claims, self._settings)

    def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in. Raises IssuerUnreachable."""
        endpoint = self._issuer.authorization_endpoint()
        derived = self.attempts.derived(attempt)
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self._settings.oidc_scopes),
            "state": derived.state,
            "nonce": derived.nonce,
            "code_challenge": derived.challenge,
            "code_challenge_method": "S256",
        }
        if attempt.session:
            # somebody else may be signed in there: let the user see whom they link
            query["prompt"] = "login"
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def check_sender(self, named: str | None) -> None:
        """Make sure that it was this issuer that sent somebody back, as far as issuers say it.

        Raises TokenRefused, IssuerUnreachable.
        """
        if named is None and not self._issuer.metadata().names_itself:
            return
        if named != self.issuer:
            raise TokenRefused("Another issuer sent you back (iss).")

    def finish(self, attempt: Attempt, code: str) -> Person:
        """Who signed in. Raises CodeRefused, TokenRefused, IssuerUnreachable."""
        derived = self.attempts.derived(attempt)
        answer = self._issuer.exchange(code, derived.verifier, self.redirect_uri)
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise TokenRefused("The issuer gave no ID token: is `openid` one of its scopes?")
        claims = self._read(
            id_token, self._client_id, self._client_id, ID_TOKEN_TYPES, derived.nonce
        )
        if lacks(claims, self._settings):
            claims = {**self._more_of(claims["sub"], answer), **claims}
        person = person_from(claims, self._settings)
        if self._settings.oidc_role_claim and person.role is None:  # issuers leave out empty lists
            person = replace(person, role="viewer")
        return person

    def _read(
        self,
        token: str,
        audience: str,
        client_id: str | None,
        types: tuple[str, ...],
        nonce: str | None = None,
    ) -> dict[str, Any]:
        skew = self._settings.oidc_clock_skew_seconds
        expected = Expected(self.issuer, audience, client_id, types, skew, nonce)
        return read_token(token, self._issuer.key, expected, self._clock())

    def _more_of(self, subject: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What userinfo says of the same person (OpenID Connect Core, section 5.3.2)."""
        access_token = answer.get("access_token")
        if not isinstance(access_token, str) or not access_token.isascii():
            return {}
        told = self._issuer.userinfo(access_token) or {}
        if told and told.get("sub") != subject:
            raise IssuerUnreachable("The issuer tells of somebody else than who signed in.")
        return told
