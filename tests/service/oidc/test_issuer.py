"""The issuer's keys and what it says of itself: rotated, wrong, or not answering."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from aethex.service.oidc import CodeRefused, IssuerUnreachable, Oidc, TokenRefused
from aethex.service.oidc.issuer import Issuer
from aethex.service.oidc.kept import FRESH_SECONDS, GOOD_SECONDS, PAUSE_SECONDS, Kept
from aethex.settings import Settings
from tests.oidc_issuer import CLIENT_ID, StandInIssuer, ec_key, rsa_key
from tests.service.oidc.conftest import Clock


def test_a_new_key_is_known_at_once_and_an_old_one_is_over_in_bounded_time(
    oidc: Oidc, issuer: StandInIssuer, clock: Clock
) -> None:
    old = issuer.token(exp=2**33)
    oidc.bearer(old)
    issuer.keys = [rsa_key("rsa-2")]
    clock.later = PAUSE_SECONDS
    oidc.bearer(issuer.token())
    with pytest.raises(TokenRefused, match="kid"):
        oidc.bearer(old)


def test_a_key_that_was_taken_away_works_ten_minutes_more_at_most(
    oidc: Oidc, issuer: StandInIssuer, clock: Clock
) -> None:
    old = issuer.token(exp=2**33)
    oidc.bearer(old)
    issuer.keys = []
    clock.later = FRESH_SECONDS - 1
    oidc.bearer(old)
    clock.later = FRESH_SECONDS
    with pytest.raises(TokenRefused, match="kid"):
        oidc.bearer(old)


def test_forged_keys_cannot_make_us_ask_without_end(
    oidc: Oidc, issuer: StandInIssuer, clock: Clock
) -> None:
    for seconds in range(40):
        clock.later = float(seconds)
        with pytest.raises(TokenRefused, match="kid"):
            oidc.bearer(issuer.token(rsa_key(f"forged {seconds % 2}")))
    assert issuer.asked.count("/jwks") == 4
    oidc.bearer(issuer.token())


def test_known_keys_go_on_for_a_day_while_the_issuer_is_away(
    oidc: Oidc, issuer: StandInIssuer, clock: Clock
) -> None:
    token = issuer.token(exp=2**33)
    oidc.bearer(token)
    issuer.is_away = True
    clock.later = GOOD_SECONDS - 1
    assert oidc.bearer(token).subject == "ada-at-home"
    with pytest.raises(TokenRefused, match="kid"):
        oidc.bearer(issuer.token(ec_key("new"), "ES256"))
    with pytest.raises(IssuerUnreachable):  # but nobody is sent there
        oidc.authorization_url(oidc.attempts.begin(0, "/"))
    clock.later = GOOD_SECONDS + PAUSE_SECONDS
    with pytest.raises(IssuerUnreachable):
        oidc.bearer(token)
    issuer.is_away = False
    clock.later += PAUSE_SECONDS
    oidc.bearer(token)


WRONG_DOCUMENTS: list[dict[str, Any]] = [
    {"issuer": "https://evil.example"},
    {"issuer": None},
    {"jwks_uri": None},
    {"jwks_uri": "file:///etc/passwd"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"token_endpoint": 7},
    {"jwks_uri": "http://10.1.2.3/keys"},  # an address of the network that nobody named
]


@pytest.mark.parametrize("wrong", WRONG_DOCUMENTS, ids=str)
def test_an_issuer_that_says_something_else_is_not_used(
    oidc: Oidc, issuer: StandInIssuer, wrong: dict[str, Any]
) -> None:
    issuer.metadata = wrong
    with pytest.raises(IssuerUnreachable):
        oidc.bearer(issuer.token())


@pytest.mark.parametrize("jwks", [{}, [], "keys", {"keys": 1}, {"keys": ["x" * 300_000]}])
def test_what_are_no_keys_are_none(oidc: Oidc, issuer: StandInIssuer, jwks: object) -> None:
    issuer.jwks = jwks
    with pytest.raises(IssuerUnreachable):
        oidc.bearer(issuer.token())


def test_the_secret_goes_as_the_issuer_takes_it(
    oidc_settings: Settings, issuer: StandInIssuer
) -> None:
    def exchanged(settings: Settings) -> str:
        client = Issuer(settings)
        oidc = Oidc(settings, client, b"key")
        attempt = oidc.attempts.begin(0, "/")
        derived = oidc.attempts.derived(attempt)
        query = {
            "response_type": "code", "client_id": CLIENT_ID, "state": "", "nonce": derived.nonce,
            "code_challenge": derived.challenge, "code_challenge_method": "S256",
            "redirect_uri": oidc.redirect_uri,
        }  # fmt: skip
        code = issuer.authorize(query).rpartition("code=")[2]
        subject = oidc.finish(attempt, code).subject
        with pytest.raises(CodeRefused):
            oidc.finish(attempt, code)
        oidc.close()
        return subject

    assert exchanged(oidc_settings) == "ada-at-home"
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert exchanged(oidc_settings) == "ada-at-home"
    issuer.is_public_client = True
    assert exchanged(oidc_settings.model_copy(update={"oidc_client_secret": None})) == "ada-at-home"


def test_only_few_wait_for_an_issuer_that_does_not_answer() -> None:
    answered, asked = threading.Event(), threading.Event()

    def ask() -> int:
        asked.set()
        answered.wait()
        return 1

    kept = Kept(ask, lambda: 0.0)
    threads = [threading.Thread(target=kept.get) for _ in range(8)]
    threads[0].start()
    asked.wait()
    for thread in threads[1:]:
        thread.start()
    refused = 0
    try:
        while not refused:  # until all eight have their places
            if kept._places._value == 0:  # pyright: ignore
                with pytest.raises(IssuerUnreachable, match="Too many"):
                    kept.get()
                refused = 1
    finally:
        answered.set()
        for thread in threads:
            thread.join()
    assert kept.get() == 1
