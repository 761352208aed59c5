"""How often somebody may try to sign in or up.

What belongs here: the bounds, and what an attempt is counted under. What does not: counting
(`library.attempts`), events of players (`ingest/rates.py`).

An attempt is counted in the database before its password is looked at, and taken back when it was
good, or when it is refused: nothing was learned from it. All processes count in the same rows, one
after the other, so more processes or requests at once give nobody more attempts. Windows are fixed:
they begin with the first attempt.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aethex.library import Library, attempts
from aethex.service.ingest.rates import network_of
from aethex.service.problems import Problem

WINDOW = timedelta(minutes=15)
SIGN_INS_FROM_ADDRESS = 50
"""Failed sign-ins from one address (of IPv6: one /64), whoever is tried."""
SIGN_INS_OF_USER = 100
"""Failed sign-ins with one username from all addresses: nobody is locked out by a single one."""
SIGN_INS_OF_USER_FROM_ADDRESS = 10
SIGN_UPS_FROM_ADDRESS = 30
"""Attempts to sign up from one address, also good ones."""

_PURPOSE = b"aethex attempts"


@dataclass(frozen=True, slots=True)
class Bound:
    """So many attempts are allowed under this key."""

    key: str
    at_most: int


class Throttle:
    """Counts attempts. Its keys are digests: the table tells neither usernames nor addresses."""

    def __init__(self, library: Library, key: bytes) -> None:
        self._library = library
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def sign_in(self, username: str, address: str) -> list[Bound]:
        """Count an attempt to sign in; what it was counted under, for `succeed`.

        Raises Problem (429) when there were too many.
        """
        network = network_of(address)
        return self._count(
            [
                Bound(self._digest("address", network), SIGN_INS_FROM_ADDRESS),
                Bound(self._digest("user", username), SIGN_INS_OF_USER),
                Bound(self._digest("both", username, network), SIGN_INS_OF_USER_FROM_ADDRESS),
            ]
        )

    def sign_up(self, address: str) -> None:
        """Count an attempt to sign up. Raises Problem (429) when there were too many."""
        self._count([Bound(self._digest("sign-up", network_of(address)), SIGN_UPS_FROM_ADDRESS)])

    def issuer_sign_in(self, address: str) -> list[Bound]:
        """Count an attempt to end a sign-in with the OIDC issuer, which is asked then; what it was
        counted under, for `succeed`. Raises Problem (429) when there were too many.
        """
        key = self._digest("issuer", network_of(address))
        return self._count([Bound(key, SIGN_INS_FROM_ADDRESS)])

    def succeed(self, bounds: list[Bound]) -> None:
        """The attempt was good: it does not count."""
        with self._library.session() as s:
            attempts.take_back(s, [bound.key for bound in bounds])

    def _count(self, bounds: list[Bound]) -> list[Bound]:
        now = datetime.now(UTC)
        ends = [now]
        with self._library.session() as s:
            for bound in sorted(bounds, key=lambda bound: bound.key):
                tries, end = attempts.count(s, bound.key, now, WINDOW)
                if tries > bound.at_most:
                    ends.append(end)
            if len(ends) > 1:
                # takes all counts of it back: who is refused here must not use up for everybody
                # what a username has
                raise _too_many(int((max(ends) - now).total_seconds()) + 1)
        with self._library.session() as s:
            attempts.remove_old(s, now, WINDOW)
        return bounds

    def _digest(self, *parts: str) -> str:
        return hmac.digest(self._key, "\n".join(parts).encode("utf-8", "replace"), "sha256").hex()


def _too_many(seconds: int) -> Problem:
    minutes = -(-seconds // 60)
    return Problem(
        429,
        f"Too many attempts: try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.",
        headers={"Retry-After": str(seconds)},
    )
