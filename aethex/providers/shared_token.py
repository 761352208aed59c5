"""Servers of one's own, none of which signs: a token is sent along with their webhooks.

What belongs here: the base of their classes, which verifies. What does not: what a server sends,
and the name of its token's setting (a file each).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import ClassVar, Self

from pydantic import SecretStr

from aethex.providers.notices import Refused, Sent
from aethex.providers.verifying import check_shared
from aethex.settings import Settings

TOKEN_PARAMETER = "token"
TOKEN_HEADER = "x-aethex-token"

Network = IPv4Network | IPv6Network


class SharedTokenWebhooks(ABC):
    """Half of a WebhookSource: the token is right, and the sender's address one of the list, if
    there is one. `fields`, `redacted` and `read` are each server's own.
    """

    lets_publishers_in: ClassVar[bool] = False
    is_named_by_publishers: ClassVar[bool] = False

    def __init__(self, token: SecretStr, senders: Sequence[Network]) -> None:
        self._token = token
        self._senders = senders

    @staticmethod
    @abstractmethod
    def token(settings: Settings) -> SecretStr | None:
        """The setting that holds the token of this server's webhooks."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With its token; None without one."""
        token = cls.token(settings)
        return cls(token, settings.webhook_senders) if token else None

    def verify(self, sent: Sent, _now: datetime, /) -> None:
        """Raises Refused for a wrong token or another sender."""
        if self._senders and not self._is_allowed(sent.address):
            raise Refused(
                f"{sent.address[:60] or 'This address'} may not send webhooks: add it to "
                "AETHEX_WEBHOOK_SENDERS."
            )
        given = sent.query.get(TOKEN_PARAMETER) or sent.headers.get(TOKEN_HEADER)
        check_shared(given, self._token, f"as ?{TOKEN_PARAMETER}= or {TOKEN_HEADER.title()}")

    def _is_allowed(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._senders)
