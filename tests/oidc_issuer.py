"""A local stand-in for an OpenID Connect issuer: discovery, keys, authorizing, tokens, userinfo.

What belongs here: a real HTTP server on loopback that does what an issuer does, PKCE and codes that
work once included. What does not: what the platform makes of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "aethex tools", "s3cret: +&"

PrivateKey = RSAKey | ECKey | OKPKey


@cache
def rsa_key(kid: str = "rsa-1") -> RSAKey:
    """A key of this id, the same each time in one test run."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@cache
def ec_key(kid: str = "ec-1") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256"})


@cache
def ed_key(kid: str = "ed-1") -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid})


@dataclass
class StandInIssuer:
    """The issuer: its keys, who signs in, and what it was asked."""

    url: str
    keys: list[PrivateKey] = field(default_factory=lambda: [rsa_key(), ec_key(), ed_key()])
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "ada-at-home"})
    """Claims of who is signed in there."""
    userinfo: dict[str, Any] | None = None
    """None: it has no such address."""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """What its discovery document says otherwise."""
    jwks: Any = None
    """In place of its keys."""
    id_token: dict[str, Any] = field(default_factory=dict[str, Any])
    """What ID tokens say otherwise."""
    error: str | None = None
    """It sends people back with this error."""
    is_away: bool = False
    is_public_client: bool = False
    asked: list[str] = field(default_factory=list[str])
    authorized: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def token(
        self, key: PrivateKey | None = None, alg: str = "RS256", typ: str = "JWT", **claims: Any
    ) -> str:
        """A token of this issuer for the client; a claim that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        said |= {**self.person, **claims}
        key = key or self.keys[0]
        header = {"alg": alg, "kid": key.kid}
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(header, kept, key, algorithms=[alg], default_type=typ)

    # --- its addresses ------------------------------------------------------------------------

    def discovery(self) -> dict[str, Any]:
        endpoints = {
            "authorization_endpoint": "/authorize",
            "token_endpoint": "/token",
            "jwks_uri": "/jwks",
        }
        if self.userinfo is not None:
            endpoints["userinfo_endpoint"] = "/userinfo"
        return {
            "issuer": self.url,
            "authorization_response_iss_parameter_supported": True,
            **{name: self.url + path for name, path in endpoints.items()},
            **self.metadata,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT_ID
        self.authorized.append(query)
        answer = {"state": query["state"], "iss": self.url}
        if self.error:
            return f"{query['redirect_uri']}?{urlencode({**answer, 'error': self.error})}"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({**answer, 'code': code})}"

    def give_tokens(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if not self._is_client(form, authorization):
            return 401, {"error": "invalid_client"}
        query = self.codes.pop(form["code"], None)  # a code works once
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            query is None
            or query["code_challenge"] != challenge
            or query["redirect_uri"] != form["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        id_token = self.token(**{"nonce": query["nonce"], **self.id_token})
        return 200, {"id_token": id_token, "access_token": "of " + self.person["sub"]}

    def _is_client(self, form: dict[str, str], authorization: str) -> bool:
        if self.is_public_client:
            return form.get("client_id") == CLIENT_ID and not authorization
        if form.get("client_secret"):
            return (form["client_id"], form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        return [unquote(part) for part in pair] == [CLIENT_ID, CLIENT_SECRET]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    issuer: StandInIssuer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        issuer = self.issuer
        issuer.asked.append(parts.path)
        if issuer.is_away:
            self.close_connection = True
            return
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(200, issuer.discovery())
            case "/jwks":
                public = {"keys": [key.as_dict(private=False) for key in issuer.keys]}
                self._json(200, issuer.jwks if issuer.jwks is not None else public)
            case "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self._answer(302, b"", {"Location": issuer.authorize(query)})
            case "/userinfo" if issuer.userinfo is not None:
                assert self.headers["Authorization"].startswith("Bearer of ")
                self._json(200, issuer.userinfo)
            case _:
                self._json(404, {})

    def do_POST(self) -> None:
        self.issuer.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.issuer.is_away:
            self.close_connection = True
            return
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._json(*self.issuer.give_tokens(form, self.headers.get("Authorization", "")))

    def _json(self, status: int, document: Any) -> None:
        self._answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not among the tests' output."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up, as a client does on an answer that is too large, is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def stand_in_issuer() -> Iterator[StandInIssuer]:
    """A running issuer."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        issuer = StandInIssuer(f"http://127.0.0.1:{server.server_port}")
        handler.issuer = issuer
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
