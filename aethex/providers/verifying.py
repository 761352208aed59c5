"""Whether a webhook is its provider's: signatures over the raw body, and shared tokens.

What belongs here: comparing, in constant time, and the age of what is signed. What does not: which
provider signs how.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address

from pydantic import SecretStr

from aethex.providers.notices import Refused, Sent

TOKEN_PARAMETER = "token"
TOKEN_HEADER = "x-aethex-token"

_SIGNED = re.compile(r"[a-z0-9]{1,8}=[0-9a-f]{1,128}(,[a-z0-9]{1,8}=[0-9a-f]{1,128}){1,9}")
_TIME = re.compile(r"[1-9][0-9]{0,11}")

Network = IPv4Network | IPv6Network


def check_signature(
    header: str | None,
    names: tuple[str, str],
    secret: SecretStr,
    body: bytes,
    now: datetime,
    tolerance_seconds: float,
) -> None:
    """Check a header `<time>=1565125718,<signature>=<hex>`: HMAC-SHA256 over time, a dot, the body.

    `names` are those of the two; several signatures (a secret is being changed) are each tried.
    Raises Refused for another signature, or a time further than the tolerance from now.
    """
    if header is None:
        raise Refused("The webhook is not signed: switch signing on at the provider.")
    if not _SIGNED.fullmatch(header):
        raise Refused(
            "The webhook's signature cannot be read: send the provider's header as it is."
        )
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name == names[0]]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        raise Refused("The webhook's signature names no time: send the provider's header as it is.")
    message = times[0].encode() + b"." + body
    expected = hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()
    given = [value for name, value in pairs if name == names[1]]
    # every one is compared, so that the time taken says nothing
    if not any([hmac.compare_digest(expected, value) for value in given]):  # noqa: C419
        raise Refused("The webhook's signature is wrong: check the secret in the settings.")
    if abs(now.timestamp() - int(times[0])) > tolerance_seconds:
        raise Refused(
            f"The webhook was signed more than {tolerance_seconds:g} s from now: a replay, or one "
            "of the clocks is wrong."
        )


def check_shared(given: str | None, secret: SecretStr, where: str) -> None:
    """Check a secret that is sent as it is. Raises Refused; `where` says where it belongs."""
    if given is None:
        raise Refused(f"The webhook has no secret: send it {where}.")
    expected = secret.get_secret_value().encode()
    if not hmac.compare_digest(expected, given.encode("utf-8", "surrogatepass")):
        raise Refused(f"The webhook's secret is wrong: check what is sent {where}.")


class SharedToken:
    """What the servers of one's own have in common: none signs, so a token is sent along, and the
    sender's address may have to be one of a list.
    """

    def __init__(self, token: SecretStr, senders: Sequence[Network]) -> None:
        self._token = token
        self._senders = senders

    def verify(self, sent: Sent) -> None:
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
