"""What an input's signals say about when it was live."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.library.spells import Signal, Spell, fold
from tests.library.conftest import START

WINDOW = timedelta(seconds=60)
LATER = START + timedelta(days=1)
KINDS = {"c": "connected", "d": "disconnected", "e": "ended"}


def signals(text: str) -> list[Signal]:
    """`c0 d100` is a connect at second 0 and a disconnect at second 100; `c5/A` is of stream A."""
    made = []
    for n, word in enumerate(text.split()):
        what, _, stream_id = word.partition("/")
        at = START + timedelta(seconds=float(what[1:]))
        made.append(Signal(KINDS[what[0]], at, f"{n:03}", stream_id or None))  # pyright: ignore[reportArgumentType]
    return made


def seconds(spell: Spell) -> tuple[float, float | None]:
    ended = spell.ended_at
    return (
        (spell.started_at - START).total_seconds(),
        (ended - START).total_seconds() if ended else None,
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("c0:A c100:B d101:A", [(0, None)]),  # B has taken A's place: which is told first is chance
        ("c0:A d100:A c101:B", [(0, None)]),
        ("c0:A c100:B d101:A d200:B", [(0, 200)]),
        ("c0:A c100:B c101:A d102:B", [(0, None)]),
        ("c0:A d100:B", [(0, 100)]),  # of B's connect nobody told
        ("c0:A c100 d101:A", [(0, None)]),
        ("c0:A d100:A d130:A", [(0, 100)]),
    ],
)
def test_a_connection_whose_place_was_taken_ends_nothing(told, expected):
    made = []
    for n, word in enumerate(told.split()):
        what, _, source = word.partition(":")
        key = f"source:{source}:{n}" if source else str(n)
        at = START + timedelta(seconds=float(what[1:]))
        made.append(Signal(KINDS[what[0]], at, key))  # pyright: ignore[reportArgumentType]
    assert [seconds(one) for one in fold(reversed(made), WINDOW, LATER)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("c0", [(0, None)]),
        ("c0 c5", [(0, None)]),
        ("c0 d100", [(0, 100)]),
        ("c0 d100 d130", [(0, 100)]),  # the first of several disconnects counts
        ("c0 d100 c160", [(0, None)]),  # the window's last moment
        ("c0 d100 c161", [(0, 100), (161, None)]),
        ("c0 d100 c130 d200", [(0, 200)]),
        ("c0 d100 d150 c170", [(0, 100), (170, None)]),  # counted from the first disconnect
        ("c0 d100 e130", [(0, 100)]),
        ("c0 e100", [(0, 100)]),
        ("c0 e100 c101", [(0, 100), (101, None)]),  # back to back, though within the window
        ("c0 e100 d101 c102", [(0, 100), (102, None)]),
        ("c0 d100 e110 c120", [(0, 100), (120, None)]),
        ("d0 e5", []),  # nobody knows since when
        ("d0 c10 d20", [(10, 20)]),
        ("e0 e1 c2", [(2, None)]),
        ("c0 d0", [(0, 0)]),
    ],
)
def test_spells(text, expected):
    assert [seconds(spell) for spell in fold(signals(text), WINDOW, LATER)] == expected


@pytest.mark.parametrize(("passed", "ended_at"), [(160, None), (160.001, 100)])
def test_a_reconnect_is_awaited_to_the_windows_last_moment(passed, ended_at):
    now = START + timedelta(seconds=passed)
    [spell] = fold(signals("c0 d100"), WINDOW, now)
    assert seconds(spell) == (0, ended_at)
    assert spell.left_at == START + timedelta(seconds=100)


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        ("c0/A d10/A c20 c30/B", "AB", [(0, 30, "A"), (30, None, "B")]),
        ("c0/A d10/A c20 c30/B", "B", [(0, None, "B")]),
        ("c0/A d10/A c20 c30/B", "", [(0, None, None)]),
        ("c0/A c15 c30/B d90/B", "AB", [(0, 30, "A"), (30, 90, "B")]),
        ("c0/A d10/A c20/B d30/B c40/C", "AC", [(0, 30, "A"), (40, None, "C")]),
        # a late `ended` splits A, whose second part is none of the kept ones any more
        ("c0/A e5 c10/A c20/B", "AB", [(0, 5, "A"), (10, None, "B")]),
    ],
)
def test_kept_streams_are_not_joined(text, kept, expected):
    spells = fold(signals(text), WINDOW, LATER, set(kept))
    assert [(*seconds(spell), spell.kept_id) for spell in spells] == expected


some_signals = st.lists(st.tuples(st.sampled_from("cde"), st.integers(0, 400)), max_size=12).map(
    lambda drawn: signals(" ".join(f"{kind}{at}" for kind, at in drawn))
)


@given(some_signals, st.randoms(use_true_random=False))
def test_spells_lie_apart_and_do_not_depend_on_the_order_of_arrival(some, random):
    spells = fold(some, WINDOW, LATER)
    ends = {one.at for one in some if one.kind == "ended"}
    for before, after in itertools.pairwise(spells):
        assert before.ended_at is not None
        assert before.started_at <= before.ended_at <= after.started_at
        is_ended = any(before.ended_at <= end <= after.started_at for end in ends)
        assert is_ended or after.started_at - before.ended_at > WINDOW
    for spell in spells:
        assert spell.signals[0].kind == "connected"
        assert spell.signals[0].at == spell.started_at
    shuffled = [*some]
    random.shuffle(shuffled)
    assert fold(shuffled, WINDOW, LATER) == spells
    connects = [one for one in some if one.kind == "connected"]
    assert sum(one in spell.signals for one in connects for spell in spells) == len(connects)
