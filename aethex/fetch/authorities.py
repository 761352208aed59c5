"""Which certificate authorities are trusted, for programs that fetch in our stead.

What belongs here: telling OpenSSL in another process what `Fetcher` trusts. What does not: checking
certificates; TLS libraries do that.
"""

from __future__ import annotations

import os

import certifi


def trusted_authorities() -> dict[str, str]:
    """One environment variable of OpenSSL's: `SSL_CERT_FILE` or `SSL_CERT_DIR` as the environment
    has it, else the file of the Python packages. httpx, and so `Fetcher`, chooses alike.
    """
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := os.environ.get(name):
            return {name: value}
    return {"SSL_CERT_FILE": certifi.where()}
