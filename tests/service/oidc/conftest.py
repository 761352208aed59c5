"""An issuer, and the service's side of it with clocks that a test sets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from aethex.service.oidc import Oidc
from aethex.service.oidc.issuer import Issuer
from aethex.settings import Settings
from tests.oidc_issuer import CLIENT_ID, CLIENT_SECRET, StandInIssuer, stand_in_issuer


class Clock:
    """Seconds that go on when a test says so."""

    def __init__(self) -> None:
        self.later = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self.later

    def time(self) -> float:
        return time.time() + self.later


@pytest.fixture
def issuer() -> Iterator[StandInIssuer]:
    with stand_in_issuer() as issuer:
        yield issuer


@pytest.fixture
def oidc_settings(issuer: StandInIssuer, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        data_dir=tmp_path,
        oidc_issuer=issuer.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(CLIENT_SECRET),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def oidc(oidc_settings: Settings, clock: Clock) -> Iterator[Oidc]:
    oidc = Oidc(oidc_settings, Issuer(oidc_settings, clock.monotonic), b"key", clock.time)
    yield oidc
    oidc.close()
