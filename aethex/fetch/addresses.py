"""Which addresses may be asked.

What belongs here: the parts of a URL, the addresses that a name has, and the verdict on each. What
does not: connecting (`client`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import httpx

from aethex.fetch.errors import FetchFailed, FetchRefused, shown
from aethex.settings import Settings

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Sequence[str]]
"""All addresses of a name, as text. Raises OSError when it has none."""

DEFAULT_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "srt": 9000}
_LOW_PORTS = (80, 443)
_LONGEST_URL = 8192

# IANA's registries of special-purpose addresses: what is not "globally reachable", what is relayed
# to another address, and what has been given up. Listed, because the versions of Python differ.
_NOT_PUBLIC_4 = [
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
_NOT_PUBLIC_6 = [
    IPv6Network(text)
    for text in (
        *("::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32"),
        *("2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10"),
        "ff00::/8",
    )
]
_PUBLIC_6 = IPv6Network("2000::/3")  # nothing else is given out; Python calls some of it global
_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER_4 = [IPv4Network("0.0.0.0/8"), IPv4Network("224.0.0.0/4"), IPv4Network("255.255.255.255")]
_NEVER_6 = [IPv6Network("::/128"), IPv6Network("ff00::/8")]


@dataclass(frozen=True)
class CheckedAddress:
    """An address that may be asked, with what its name led to when it was checked."""

    url: str
    scheme: str
    host: str
    """As it stands in the address, in ASCII."""
    port: int
    addresses: tuple[str, ...]
    """Each may be connected to; asking for the name again may lead elsewhere."""

    @property
    def pinned_url(self) -> str:
        """The same with the first checked address in place of the name: for a program that would
        resolve it anew. Not for TLS, which needs the name.
        """
        return str(httpx.URL(self.url).copy_with(host=self.addresses[0]))


def checked_address(
    url: str,
    settings: Settings,
    *,
    schemes: Sequence[str] = ("http", "https"),
    resolve: Resolve | None = None,
) -> CheckedAddress:
    """Make sure that the address may be asked.

    Raises FetchRefused for one that may not, FetchFailed when its name leads nowhere.
    """
    parsed = parsed_url(url, schemes)
    port = parsed.port or DEFAULT_PORTS[parsed.scheme]
    host = parsed.raw_host.decode("ascii")
    addresses = Policy(settings.fetch_allow).resolved(host, resolve or system_resolve)
    return CheckedAddress(url, parsed.scheme, host, port, tuple(str(a) for a in addresses))


def system_resolve(host: str) -> list[str]:
    """All addresses of a name, as the system knows them."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Policy:
    """Which addresses may be connected to: public ones, and those that are named in `allowed`."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in allowed:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._names.add(_canonical(entry))

    def is_named(self, host: str) -> bool:
        """Whether the host itself is allowed by its name."""
        return _canonical(host) in self._names

    def resolved(self, host: str, resolve: Resolve) -> list[Address]:
        """The addresses of a host, each of which may be connected to.

        Raises FetchRefused when one of them may not: a name with a private and a public address
        is a trick, or a mistake. Raises FetchFailed when there is none.
        """
        bare = host.removeprefix("[").removesuffix("]")
        try:
            texts = [str(ip_address(bare))]
        except ValueError:
            texts = _looked_up(bare, resolve)
        addresses = [ip_address(text.partition("%")[0]) for text in texts]
        for text, address in zip(texts, addresses, strict=True):
            if "%" in text or not self._may_ask(address, self.is_named(host)):
                raise FetchRefused(
                    f"{host} leads to {text}, which is no public address: it is not asked. If it "
                    "is meant, name it in AETHEX_FETCH_ALLOW."
                )
        return addresses

    def _may_ask(self, address: Address, is_named: bool) -> bool:
        inner = embedded(address)
        if inner is not None:
            return self._may_ask(inner, is_named)
        if _is_in(address, _NEVER_4, _NEVER_6):
            return False
        if is_named or any(address in network for network in self._networks):
            return True
        if isinstance(address, IPv6Address) and address not in _PUBLIC_6:
            return False
        return address.is_global and not _is_in(address, _NOT_PUBLIC_4, _NOT_PUBLIC_6)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that packets for this IPv6 address end up at: mapped, NAT64 or 6to4."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def parsed_url(url: str, schemes: Sequence[str] = ("http", "https")) -> httpx.URL:
    """The parts of an address that may be asked as far as its text goes.

    Raises FetchRefused: another scheme, a user or password, a port below 1024 that is not the
    web's (mail and the like), or no address at all.
    """
    if len(url) > _LONGEST_URL:
        raise FetchRefused(f"{shown(url)}: an address of {len(url)} characters is not asked.")
    if "\\" in url or any(c.isspace() or not c.isprintable() for c in url):
        raise FetchRefused(f"{shown(url)}: an address has no spaces, backslashes or controls.")
    try:
        parsed = httpx.URL(url)
        parsed.raw_host.decode("ascii")
        host = parsed.host  # raises for what only looks like Punycode
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{shown(url)}: this is no address ({error}).") from None
    if parsed.scheme not in schemes:
        expected = ", ".join(schemes)
        raise FetchRefused(f"{shown(url)}: only {expected} is asked, not {parsed.scheme!r}.")
    if not host:
        raise FetchRefused(f"{shown(url)}: an address needs a host.")
    if parsed.userinfo:
        raise FetchRefused(f"{shown(url)}: an address with a user or password is not asked.")
    port = parsed.port
    if port is not None and port not in _LOW_PORTS and not 1024 <= port <= 65535:
        raise FetchRefused(f"{shown(url)}: port {port} is not asked (80, 443, 1024 to 65535).")
    return parsed


def _looked_up(name: str, resolve: Resolve) -> Sequence[str]:
    try:
        texts = resolve(name)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FetchFailed(f"{name} cannot be resolved ({reason}).") from None
    if not texts:
        raise FetchFailed(f"{name} cannot be resolved (it has no address).")
    return texts


def _canonical(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_in(
    address: Address, networks_4: Sequence[IPv4Network], networks_6: Sequence[IPv6Network]
) -> bool:
    networks = networks_4 if isinstance(address, IPv4Address) else networks_6
    return any(address in network for network in networks)
