"""Whether a webhook is its provider's: signatures over the raw body, and secrets sent along.

What belongs here: comparing, in constant time, and the age of what is signed. What does not: which
provider signs how, and where a secret is looked for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime

from pydantic import SecretStr

from aethex.providers.notices import Refused

_SIGNED = re.compile(r"[a-z0-9]{1,8}=[0-9a-f]{1,128}(,[a-z0-9]{1,8}=[0-9a-f]{1,128}){1,9}")
_TIME = re.compile(r"[1-9][0-9]{0,11}")


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
    # every one is compared, so that the time taken says nothing
    fits = [hmac.compare_digest(expected, value) for name, value in pairs if name == names[1]]
    if not any(fits):
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
