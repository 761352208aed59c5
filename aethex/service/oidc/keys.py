"""The issuer's public keys (JWKS, RFC 7517).

What belongs here: which of them can have signed a token. What does not: asking for them (`issuer`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

PublicKey = RSAKey | ECKey | OKPKey

KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
"""The algorithms that are taken, each with its type of key. All have a public and a private key:
`none` has none, and HS256 and its kind would take a public key for a shared secret.
"""

_CLASSES = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_LEAST_RSA_BITS = 2048
_MOST_KEYS = 100


def keys_from(document: Any) -> list[PublicKey]:
    """The keys of a JWKS that can verify. What is not understood is left out (RFC 7517, section 5),
    and so are secrets, keys for encryption and short ones.

    Raises ValueError when it is no JWKS.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list of keys")
    found: list[PublicKey] = []
    for entry in listed[:_MOST_KEYS]:
        with contextlib.suppress(JoseError, ValueError, TypeError, KeyError, AttributeError):
            if (key := _key_from(entry)) is not None:
                found.append(key)
    return found


def find_key(keys: Sequence[PublicKey], kid: str | None, algorithm: str) -> PublicKey | None:
    """The key of this id for the algorithm. A token without an id is the only key's, if there is
    only one that fits.
    """
    fitting = [
        key
        for key in keys
        if key.key_type == KEY_TYPES.get(algorithm) and key.get("alg") in (None, algorithm)
    ]
    if kid is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.get("kid") == kid), None)


def _key_from(entry: Any) -> PublicKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if (kind := _CLASSES.get(entry.get("kty", ""))) is None:
        return None
    key = kind.import_key({name: value for name, value in entry.items() if name != "key_ops"})
    if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_RSA_BITS:
        return None
    return key
