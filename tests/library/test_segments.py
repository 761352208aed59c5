"""A stream's segments."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.library import InvalidValue, NewSegment, NotInLibrary, StreamSegment, segments
from aethex.library.segments import replace_segments, same_segments
from tests.library.conftest import START
from tests.library.test_channels import at_once


def at(minutes: float):
    return START + timedelta(minutes=minutes)


SCHEDULE = [
    NewSegment("Pre-show", at(0), at(20), "Just Chatting"),
    NewSegment("Spyro 2", at(20), at(90), "Spyro 2"),
    NewSegment("Setup", at(90), at(95)),
    NewSegment("Celeste", at(95), at(180), "Celeste"),
]


@pytest.fixture
def replaced(library, stream):
    """Replaces the stream's segments in a transaction of its own."""

    def work(rows):
        with library.session() as s:
            return replace_segments(s, stream.id, rows)

    return work


def test_segments_are_stored_in_the_order_of_their_starts(library, stream, replaced):
    report = replaced(list(reversed(SCHEDULE)))
    assert (report.added, report.changed, report.removed) == (4, 0, 0)
    with library.session() as s:
        stored = segments.of_stream(s, stream.id)
    assert [row.title for row in stored] == [row.title for row in SCHEDULE]
    assert [row.position for row in stored] == [0, 1, 2, 3]
    assert stored[2].category_id is None
    assert len({row.category_id for row in stored}) == 4


def test_the_same_segments_again_change_nothing(replaced):
    first = replaced(SCHEDULE)
    again = replaced(SCHEDULE)
    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    assert [row.id for row in again.segments] == [row.id for row in first.segments]


def test_a_corrected_segment_keeps_its_id_and_so_do_its_neighbours(replaced):
    first = replaced(SCHEDULE)
    corrected = [
        SCHEDULE[0],
        replace(SCHEDULE[1], title="Spyro 2: Ripto's Rage!"),
        NewSegment("Interview", at(90), at(92)),
        replace(SCHEDULE[2], started_at=at(92)),
        replace(SCHEDULE[3], category="Celeste (2018)"),
    ]
    report = replaced(corrected)
    old = [row.id for row in first.segments]
    new = [row.id for row in report.segments]
    assert [new[0], new[1], new[4]] == [old[0], old[1], old[3]]
    # "Interview" now starts where "Setup" did; the start counts before the title.
    assert new[2] == old[2]
    assert (report.added, report.removed) == (1, 0)


def test_segments_that_are_gone_are_removed_and_the_rest_moves_up(library, stream, replaced):
    first = replaced(SCHEDULE)
    report = replaced([SCHEDULE[1], SCHEDULE[3]])
    assert (report.added, report.changed, report.removed) == (0, 2, 2)
    assert [row.id for row in report.segments] == [first.segments[1].id, first.segments[3].id]
    with library.session() as s:
        assert [row.position for row in segments.of_stream(s, stream.id)] == [0, 1]


def test_no_segments_at_all_are_allowed(replaced):
    replaced(SCHEDULE)
    assert replaced([]).removed == 4


def test_imports_at_once_leave_one_set_of_segments(library, stream):
    class Done:
        id = "done"

    # Without categories: making those would already put one import after the other.
    rows = [replace(row, category=None) for row in SCHEDULE]

    def work(s):
        replace_segments(s, stream.id, rows)
        return Done

    at_once(library, 6, work)
    with library.session() as s:
        assert len(segments.of_stream(s, stream.id)) == 4


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([NewSegment(" ", at(0), at(1))], "title is empty"),
        ([NewSegment("a", at(1), at(0))], "before it starts"),
        ([NewSegment("a", at(0), at(2)), NewSegment("b", at(1), at(3))], "reaches into 'b'"),
        ([NewSegment("a", at(0), None), NewSegment("b", at(1), at(3))], "no end"),
    ],
)
def test_segments_that_cannot_be_are_refused_and_nothing_changes(
    library, stream, replaced, rows, words
):
    replaced(SCHEDULE)
    with pytest.raises(InvalidValue, match=words):
        replaced(rows)
    with library.session() as s:
        assert len(segments.of_stream(s, stream.id)) == 4


def test_segments_of_an_unknown_stream_are_refused(library):
    with pytest.raises(NotInLibrary), library.session() as s:
        replace_segments(s, "st_nothing", SCHEDULE)


starts_and_titles = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=8)


@given(starts_and_titles, starts_and_titles)
def test_each_old_segment_is_matched_once_and_equal_ones_always(before, after):
    old = [
        StreamSegment(id=str(n), title=title, started_at=at(minute))
        for n, (minute, title) in enumerate(before)
    ]
    new = [NewSegment(title, at(minute), None) for minute, title in after]
    matched = same_segments(old, new)
    ids = [segment.id for segment in matched.values()]
    assert len(ids) == len(set(ids))
    for position, segment in matched.items():
        row = new[position]
        assert segment.started_at == row.started_at or segment.title == row.title
    both = set(before) & set(after)
    equal = {(row.started_at, row.title) for row in matched.values()}
    assert {(at(minute), title) for minute, title in both} <= equal
    # Whatever is left over on both sides has nothing in common.
    left = [row for row in old if row.id not in ids]
    for position, row in enumerate(new):
        if position not in matched:
            assert all(row.started_at != o.started_at and row.title != o.title for o in left)
