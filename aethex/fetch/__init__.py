"""Whatever is fetched from an address that came from outside, is fetched here.

What belongs here: which addresses may be asked, asking exactly those, and limits of size and time.
What does not: what is done with the answer.

An address from outside (a webhook, a playlist, an input) may lead to the machine itself, to its
network or to a cloud's metadata, directly, by a redirect, or by a name that changes its answer. So
a name is resolved once, all of its addresses are checked, and the connection goes to one of those
very addresses; certificates are still checked for the name. Addresses of one's own network that are
meant are named in `AETHEX_FETCH_ALLOW`.
"""

from aethex.fetch.addresses import CheckedAddress, checked_address
from aethex.fetch.authorities import trusted_authorities
from aethex.fetch.client import Downloaded, Fetched, Fetcher, Limits
from aethex.fetch.errors import FetchError, FetchFailed, FetchRefused, FetchTooLarge

__all__ = [
    "CheckedAddress",
    "Downloaded",
    "FetchError",
    "FetchFailed",
    "FetchRefused",
    "FetchTooLarge",
    "Fetched",
    "Fetcher",
    "Limits",
    "checked_address",
    "trusted_authorities",
]
