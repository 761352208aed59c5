"""Which tokens are taken, and what is said of the others."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from aethex.service.oidc import Oidc, TokenRefused
from aethex.service.oidc.issuer import Issuer
from aethex.service.oidc.keys import find_key, keys_from
from aethex.settings import Settings
from tests.oidc_issuer import CLIENT_ID, StandInIssuer, ec_key, ed_key, rsa_key, stand_in_issuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[StandInIssuer]:
    """One for all: nothing here changes it."""
    with stand_in_issuer() as issuer:
        yield issuer


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (rsa_key, "RS256"), (rsa_key, "PS384"), (ec_key, "ES256"), (ed_key, "EdDSA"),
        (ed_key, "Ed25519"),
    ],
)  # fmt: skip
def test_a_good_token_says_who_it_is(
    oidc: Oidc, issuer: StandInIssuer, key: Callable[[], RSAKey], alg: str
) -> None:
    token = issuer.token(key(), alg, preferred_username="Ada", name="Ada L.")
    person = oidc.bearer(token)
    assert (person.subject, person.username, person.display_name, person.role) == (
        "ada-at-home", "Ada", "Ada L.", None,
    )  # fmt: skip


TIMES = ("exp", "nbf", "iat")
"""Claims that the tables below give in seconds from now: long may pass until a test is run."""


def from_now(claims: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    return {
        name: now + value if name in TIMES and type(value) is int else value
        for name, value in claims.items()
    }


GOOD = {
    "over by less than the skew": {"exp": -30},
    "valid in less than the skew": {"nbf": 30},
    "issued in less than the skew": {"iat": 30},
    "for several, issued to us": {"aud": ["other", CLIENT_ID], "azp": CLIENT_ID},
    "for a list of us": {"aud": [CLIENT_ID]},
    "an access token": {"typ": "at+jwt"},
    "an access token in full": {"typ": "application/at+jwt"},
}


@pytest.mark.parametrize("claims", GOOD.values(), ids=GOOD)
def test_what_is_near_enough_is_taken(
    oidc: Oidc, issuer: StandInIssuer, claims: dict[str, object]
) -> None:
    assert oidc.bearer(issuer.token(**from_now(claims))).subject == "ada-at-home"


WRONG = {
    "another issuer": ({"iss": "https://evil.example"}, "(iss)"),
    "an issuer with a slash": ({"iss": "{url}/"}, "(iss)"),
    "issuers in a list": ({"iss": ["{url}"]}, "(iss)"),
    "no issuer": ({"iss": None}, "lacks a claim"),
    "another audience": ({"aud": "other"}, "(aud)"),
    "other audiences": ({"aud": ["a", "b"]}, "(aud)"),
    "a part of the audience": ({"aud": CLIENT_ID[:-1]}, "(aud)"),
    "no audience": ({"aud": None}, "lacks a claim"),
    "an audience of numbers": ({"aud": [1]}, "(aud)"),
    "for several, issued to nobody": ({"aud": [CLIENT_ID, "other"]}, "(azp)"),
    "issued to another": ({"azp": "other"}, "(azp)"),
    "over": ({"exp": -90}, "(exp)"),
    "never over": ({"exp": None}, "lacks a claim"),
    "over at some text": ({"exp": "soon"}, "cannot be used"),
    "over at no number": ({"exp": float("nan")}, "cannot be used"),
    "not yet valid": ({"nbf": 120}, "(nbf)"),
    "issued in the future": ({"iat": 120}, "(iat)"),
    "issued at no time": ({"iat": None}, "lacks a claim"),
    "of nobody": ({"sub": None}, "lacks a claim"),
    "of an empty name": ({"sub": ""}, "cannot be used"),
    "of a number": ({"sub": 7}, "cannot be used"),
    "of a name with a zero byte": ({"sub": "a\0b"}, "(sub)"),
    "of a long name": ({"sub": "x" * 256}, "(sub)"),
    "a logout token": ({"typ": "logout+jwt"}, "(typ)"),
}


@pytest.mark.parametrize(("claims", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_claim_is_named(
    oidc: Oidc, issuer: StandInIssuer, claims: dict[str, object], said: str
) -> None:
    filled = json.loads(json.dumps(claims).replace("{url}", issuer.url))
    with pytest.raises(TokenRefused) as refused:
        oidc.bearer(issuer.token(**from_now(filled)))
    assert said in str(refused.value)


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(issuer: StandInIssuer) -> dict[str, tuple[str, str]]:
    """Tokens that nobody signed who has a key of the issuer, and what is said of them."""
    good = issuer.token()
    header, claims, signature = good.split(".")
    root = {"sub": "root", "iss": issuer.url, "aud": CLIENT_ID, "iat": 0, "exp": 99}
    other = part(from_now(root))
    by_secret = f"{part({'alg': 'HS256', 'kid': rsa_key().kid})}.{claims}"
    mac = hmac.digest(rsa_key().as_pem(private=False), by_secret.encode(), "sha256")
    key_of_mine = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    with_key = {"alg": "RS256", "kid": "x", "jwk": key_of_mine.as_dict(private=False)}
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return {
        "alg none": (f"{part({'alg': 'none'})}.{claims}.", "(alg)"),
        "alg None": (f"{part({'alg': 'nOnE'})}.{claims}.", "(alg)"),
        "alg none with a signature": (f"{part({'alg': 'none'})}.{claims}.{signature}", "(alg)"),
        "the public key as a secret": (f"{by_secret}.{part(mac)}", "(alg)"),
        "another key of the same id": (issuer.token(key_of_mine), "signature"),
        "a key that it brings along": (jwt.encode(with_key, said, key_of_mine), "(kid)"),
        "an unknown key": (issuer.token(rsa_key("unknown")), "(kid)"),
        "no id of a key among several": (f"{part({'alg': 'RS256'})}.{other}.{signature}", "sign"),
        "other claims": (f"{header}.{other}.{signature}", "signature"),
        "no signature": (f"{header}.{claims}.", "signature"),
        "another algorithm": (
            f"{part({'alg': 'ES256', 'kid': 'rsa-1'})}.{claims}.{signature}", "(kid)",
        ),
        "two parts": (f"{header}.{claims}", "no signed token"),
        "encrypted": (".".join(["e30"] * 5), "no signed token"),
        "nothing": ("", "no signed token"),
        "no base64": ("a.b.c", "no signed token"),
        "a list as header": (f"{part([])}.{claims}.{signature}", ""),
        "a number as header": (f"{part(1)}.{claims}.{signature}", ""),
        "null as header": (f"{part(None)}.{claims}.{signature}", ""),
        "a deep header": (f"{part(b'[' * 3000)}.{claims}.{signature}", "no signed token"),
        "a key id that is none": (f"{part({'alg': 'RS256', 'kid': [1]})}.{claims}.x", "kid"),
        "an algorithm that is none": (f"{part({'alg': ['RS256']})}.{claims}.x", "(alg)"),
        "a demand that is not known": (
            f"{part({'alg': 'RS256', 'kid': 'rsa-1', 'crit': ['x'], 'x': 1})}.{claims}.{signature}",
            "no signed token",
        ),
        "an endless one": (good + "x" * 20_000, "too long"),
        "no text": ("\ud800.\ud800.\ud800", "no signed token"),
    }  # fmt: skip


def test_nobody_can_make_a_token(oidc: Oidc, issuer: StandInIssuer) -> None:
    wrong = {}
    for name, (token, said) in forged(issuer).items():
        try:
            wrong[name] = oidc.bearer(token)
        except TokenRefused as refused:
            if said not in str(refused):
                wrong[name] = str(refused)
    assert wrong == {}


def test_an_audience_of_its_own_is_for_tokens_of_any_client(
    oidc_settings: Settings, issuer: StandInIssuer
) -> None:
    settings = oidc_settings.model_copy(update={"oidc_audience": "the api"})
    oidc = Oidc(settings, Issuer(settings), b"key")
    assert oidc.bearer(issuer.token(aud=["the api", "x"], azp="an app")).subject == "ada-at-home"
    with pytest.raises(TokenRefused, match="aud"):
        oidc.bearer(issuer.token())  # an ID token for the browser's sign-in
    oidc.close()


@pytest.mark.parametrize(
    ("claim", "value", "role"),
    [
        ("groups", ["x", "admins", "numbers"], "admin"),
        ("groups", "numbers", "analyst"),
        ("groups", [], "viewer"),
        ("groups", [{"admins": 1}, None], "viewer"),
        ("other", ["admins"], None),
        ("realm_access", {"roles": ["admins"]}, None),
    ],
)
def test_a_claim_says_the_role(
    oidc_settings: Settings, issuer: StandInIssuer, claim: str, value: object, role: str | None
) -> None:
    updated = {
        "oidc_role_claim": "groups",
        "oidc_admin_values": ("admins",),
        "oidc_analyst_values": ("numbers",),
    }
    settings = oidc_settings.model_copy(update=updated)
    oidc = Oidc(settings, Issuer(settings), b"key")
    assert oidc.bearer(issuer.token(**{claim: value})).role == role  # pyright: ignore
    nested = settings.model_copy(update={"oidc_role_claim": "realm_access.roles"})
    if role is None and claim == "realm_access":
        assert Oidc(nested, Issuer(nested), b"k").bearer(issuer.token(realm_access=value)).role
    oidc.close()


def test_keys_that_cannot_verify_are_left_out() -> None:
    public = rsa_key().as_dict(private=False)
    listed = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**public, "kid": "for encryption", "use": "enc"},
        {**RSAKey.generate_key(1024).as_dict(private=False), "kid": "short"},
        {"kty": "future", "kid": "unknown"},
        {"kty": []}, {"kty": "RSA"}, {"kty": "RSA", "n": 1, "e": None}, None, "text",
        {**public, "kid": "good"},
    ]  # fmt: skip
    keys = keys_from({"keys": listed})
    assert [key.kid for key in keys] == ["good"]
    assert find_key(keys, None, "RS256") is keys[0]
    assert find_key(keys, "good", "ES256") is None
    for nonsense in (None, [], {}, {"keys": {}}):
        with pytest.raises(ValueError):
            keys_from(nonsense)
