"""The issuer: what it says of itself, its keys, and its endpoints.

What belongs here: requests to it, and what an answer must hold. What does not: whether a token is
good (`tokens`).
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from aethex.fetch import Fetcher, FetchError, FetchFailed, Limits
from aethex.service.oidc.errors import CodeRefused, IssuerUnreachable
from aethex.service.oidc.kept import Kept
from aethex.service.oidc.keys import PublicKey, find_key, keys_from
from aethex.settings import Settings

_MOST_BYTES = 256 * 1024
_LIMITS = Limits(connect_seconds=3.0, idle_seconds=5.0, total_seconds=8.0)
_AT_ONCE = 8
"""Codes and people that are asked about at once, so that a slow issuer cannot hold all threads."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the discovery document says (OpenID Connect Discovery, section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    takes_basic: bool
    """Whether the client's secret may come as HTTP Basic; else it is a field."""
    names_itself: bool
    """Whether it says who it is when it sends somebody back (RFC 9207)."""


class Issuer:
    """The configured issuer. Threads may share it; nothing is asked before it is needed."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        self.url = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret
        host = urlsplit(self.url).hostname or ""
        # the operator named this host, so it may be a private one
        allowed = settings.model_copy(update={"fetch_allow": (*settings.fetch_allow, host)})
        self._fetcher = Fetcher(allowed, limits=_LIMITS)
        self._metadata = Kept(self._ask_metadata, clock)
        self._keys = Kept(self._ask_keys, clock)
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def close(self) -> None:
        """Close what is still connected."""
        self._fetcher.close()

    def metadata(self) -> Metadata:
        """What it says of itself. Raises IssuerUnreachable."""
        return self._metadata.get()

    def authorization_endpoint(self) -> str:
        """Where people sign in. Raises IssuerUnreachable, also when it answered a while ago."""
        return self._metadata.fresh().authorization_endpoint

    def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """Its key of this id for the algorithm. For one that is not known it is asked again, unless
        it just was. Raises IssuerUnreachable when none of its keys are known.
        """
        found = find_key(self._keys.get(), kid, algorithm)
        return found or find_key(self._keys.renewed(), kid, algorithm)

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """The tokens for a code. Raises CodeRefused, IssuerUnreachable."""
        metadata = self.metadata()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if self._secret is not None and metadata.takes_basic:
            headers["Authorization"] = _basic(self._client_id, self._secret.get_secret_value())
        else:
            fields["client_id"] = self._client_id
            if self._secret is not None:
                fields["client_secret"] = self._secret.get_secret_value()
        with self._place():
            try:
                return self._json("POST", metadata.token_endpoint, headers, fields)
            except FetchFailed as error:
                if error.status == 400:  # invalid_grant, as a rule
                    _log.info("The issuer refused a code: %s", error)
                    raise CodeRefused("The issuer did not take the code.") from None
                raise

    def userinfo(self, access_token: str) -> dict[str, Any] | None:
        """What it tells of who has the token; None where it tells nothing in this way.

        Raises IssuerUnreachable.
        """
        endpoint = self.metadata().userinfo_endpoint
        if endpoint is None:
            return None
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        with self._place():
            return self._json("GET", endpoint, headers)

    # --- parts --------------------------------------------------------------------------------

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise IssuerUnreachable("Too many sign in at once: try again soon.")
        try:
            yield
        except FetchError as error:
            _log.warning("The OIDC issuer: %s", error)
            raise IssuerUnreachable("The issuer does not answer as it should.") from None
        finally:
            self._places.release()

    def _ask_metadata(self) -> Metadata:
        url = f"{self.url.rstrip('/')}/.well-known/openid-configuration"
        with _told(url):
            document = self._json("GET", url)
            if document.get("issuer") != self.url:
                raise ValueError(
                    f"it is of the issuer {document.get('issuer')!r:.200}: set AETHEX_OIDC_ISSUER "
                    "to exactly that if it is meant"
                )
            return _metadata_from(document, urlsplit(self.url).scheme)

    def _ask_keys(self) -> list[PublicKey]:
        url = self.metadata().jwks_uri
        with _told(url):
            return keys_from(self._json("GET", url))

    def _json(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        content = urlencode(fields).encode() if fields is not None else None
        answer = self._fetcher.request(
            method, url, max_bytes=_MOST_BYTES, headers=headers, content=content
        ).json()
        if not isinstance(answer, dict):
            raise FetchFailed(f"{url.partition('?')[0]} answered no JSON object.")
        return answer


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Failures below are in the log, and IssuerUnreachable for everybody else."""
    try:
        yield
    except (FetchError, ValueError) as error:
        _log.warning("The OIDC issuer cannot be used (%s): %s", url, error)
        raise IssuerUnreachable("The issuer does not answer as it should.") from None


def _metadata_from(document: Mapping[str, Any], scheme: str) -> Metadata:
    def endpoint(name: str) -> str:
        url = document.get(name)
        # the secret, codes and keys go this way: not over plain http, unless the issuer itself does
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", scheme):
            raise ValueError(f"its {name} is no https address")
        return url

    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Metadata(
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        jwks_uri=endpoint("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint")
        if "userinfo_endpoint" in document
        else None,
        takes_basic="client_secret_basic" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749, section 2.3.1: both are encoded as in a form first."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
