"""How much players may send: per viewer and per address, in any 60 seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import memory

from aethex.service.ingest.rates import Rates, network_of
from aethex.service.ingest.senders import Sender
from aethex.service.problems import Problem
from aethex.settings import Settings

PLAYER = Sender("player", False, None, "vw_1", None, "192.0.2.1")
ANYBODY = replace(PLAYER, viewer_id=None)
SERVER = Sender("tok_1", True, None, None, None, "")


@dataclass
class Clock:
    """What `limits` takes for the module time."""

    now: float = 6000.0

    def time(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True, scope="module")
def _stopped_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "time", CLOCK)
        yield


class Counted:
    """Rates on a clock of the test's."""

    def __init__(self, *, viewer: int = 100, address: int = 1000) -> None:
        CLOCK.now = 6000.0
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            events_per_viewer_minute=viewer,
            events_per_address_minute=address,
        )
        self.rates = Rates(settings)

    def take(self, sender: Sender, events: int = 1) -> Problem | None:
        """None where they are taken."""
        try:
            self.rates.count(sender, events)
        except Problem as problem:
            return problem
        return None

    def wait_of(self, sender: Sender, events: int = 1) -> int:
        """The seconds that a refusal says to wait."""
        problem = self.take(sender, events)
        assert problem is not None
        assert problem.status == 429
        return int(problem.headers["Retry-After"])


def test_a_viewer_may_send_as_many_as_is_said_and_no_more() -> None:
    counted = Counted(viewer=100)
    assert counted.take(PLAYER, 60) is None
    assert counted.take(PLAYER, 40) is None
    problem = counted.take(PLAYER)
    assert problem is not None
    assert "This viewer sends more than 100 events a minute" in problem.detail
    assert counted.take(replace(PLAYER, viewer_id="vw_2"), 100) is None


def test_all_viewers_of_an_address_share_its_bound() -> None:
    counted = Counted(viewer=100, address=250)
    for number in range(2):
        assert counted.take(replace(PLAYER, viewer_id=f"vw_{number}"), 100) is None
    assert counted.take(ANYBODY, 50) is None
    problem = counted.take(replace(PLAYER, viewer_id="vw_9"))
    assert problem is not None
    assert "This address" in problem.detail
    assert counted.take(replace(ANYBODY, address="192.0.2.2"), 250) is None


def test_what_is_refused_is_not_counted_in_either() -> None:
    counted = Counted(viewer=10, address=15)
    assert counted.take(PLAYER, 10) is None
    for _ in range(5):
        assert counted.take(PLAYER, 5) is not None  # the viewer's bound
        assert counted.take(replace(PLAYER, viewer_id="vw_2"), 6) is not None  # the address'
    assert counted.take(replace(PLAYER, viewer_id="vw_2"), 5) is None


def test_backends_are_not_counted() -> None:
    counted = Counted(viewer=1, address=1)
    assert all(counted.take(SERVER, 1000) is None for _ in range(10))


def test_what_no_minute_has_room_for_is_too_large_rather_than_too_early() -> None:
    """Told to come back later, a player would send it for ever."""
    counted = Counted(viewer=100)
    problem = counted.take(PLAYER, 101)
    assert problem is not None
    assert (problem.status, "Retry-After" in problem.headers) == (413, False)
    assert "100 events a minute, and these are 101" in problem.detail
    assert counted.take(PLAYER, 100) is None


def test_the_minute_slides() -> None:
    counted = Counted(viewer=60)
    assert counted.take(PLAYER, 60) is None  # at 0:00
    CLOCK.now += 59
    assert counted.wait_of(PLAYER) in {2, 3}  # at 0:59: from 1:01 on there is room for one
    CLOCK.now += 1
    assert counted.take(PLAYER) is not None  # at 1:00 all of them count still
    CLOCK.now += 30
    assert counted.take(PLAYER, 31) is not None  # at 1:30 half of them do
    assert counted.take(PLAYER, 30) is None
    assert counted.take(PLAYER) is not None
    CLOCK.now += 30
    assert counted.take(PLAYER, 30) is None  # at 2:00 the 30 of 1:30
    CLOCK.now += 120
    assert counted.take(PLAYER, 60) is None  # after a minute of silence none


@given(
    st.lists(st.tuples(st.integers(1, 30), st.floats(0, 45)), max_size=20),
    st.integers(1, 30),
    st.floats(0, 60),
)
def test_who_waits_as_long_as_is_said_is_taken(
    before: list[tuple[int, float]], events: int, starts_at: float
) -> None:
    counted = Counted(viewer=30)
    CLOCK.now += starts_at
    for count, pause in before:
        counted.take(PLAYER, count)
        CLOCK.now += pause
    if counted.take(PLAYER, events) is not None:
        seconds = counted.wait_of(PLAYER, events)
        assert 1 <= seconds <= 121
        CLOCK.now += seconds
        assert counted.take(PLAYER, events) is None


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0, 20)), max_size=40))
def test_in_no_60_seconds_much_more_than_the_bound_is_taken(
    sent: list[tuple[int, float]],
) -> None:
    """The minute before is taken as spread evenly, so twice the bound is the worst there can be."""
    counted = Counted(viewer=30)
    taken: list[tuple[float, int]] = []
    for events, pause in sent:
        if counted.take(PLAYER, events) is None:
            taken.append((CLOCK.now, events))
        CLOCK.now += pause
    for at, _ in taken:
        within = sum(events for then, events in taken if at - 60 < then <= at)
        minute = sum(events for then, events in taken if then // 60 == at // 60)
        assert within <= 2 * 30
        assert minute <= 30


def test_only_two_minutes_are_kept() -> None:
    counted = Counted()
    for number in range(500):
        counted.take(replace(PLAYER, viewer_id=f"vw_{number}", address=f"192.0.2.{number % 250}"))
    CLOCK.now += 60
    counted.take(PLAYER)
    CLOCK.now += 60
    counted.take(PLAYER)
    assert [len(counts) for counts in counted.rates.storage.minutes.values()] == [2, 2]


def test_no_event_looks_through_what_all_others_sent() -> None:
    """Or each costs more, the more viewers there are."""

    class Unlisted(dict[str, int]):
        def __iter__(self) -> NoReturn:
            raise AssertionError("all keys were looked through")

        keys = values = items = copy = __iter__  # pyright: ignore[reportAssignmentType]

    counted = Counted(viewer=3)
    storage = counted.rates.storage
    for _ in range(2):
        assert counted.take(PLAYER) is None  # the minute begins
        storage.minutes = {minute: Unlisted(of) for minute, of in storage.minutes.items()}
        assert counted.take(PLAYER, 2) is None
        assert counted.wait_of(PLAYER, 2) > 60
        CLOCK.now += 120


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_a_home_is_one_address(address: str, network: str) -> None:
    assert network_of(address) == network
