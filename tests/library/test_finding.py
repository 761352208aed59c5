"""Finding VODs of a channel: words, dates, orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aethex.library import (
    Channel,
    Library,
    NewRun,
    NewVod,
    NewVodSegment,
    Vod,
    finding,
    new_id,
    vods,
)
from aethex.library.finding import Wanted, search_text
from aethex.library.streams import ensure_stream, set_stream_bounds
from tests.library.conftest import SHA256, START, VodParts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def add(library: Library, vod_parts: Callable[..., VodParts]) -> Callable[..., Vod]:
    def add(title: str, **changes: object) -> Vod:
        with library.session() as s:
            return vods.add_vod(s, *vod_parts(title, **changes))

    return add


def titles(library: Library, channel: Channel, q: str = "", **wanted: Any) -> list[str]:
    with library.session() as s:
        found, total = finding.newest(s, channel.id, Wanted(q, **wanted), per_page=50)
    assert total == len(found)
    return [vod.title for vod in found]


TITLES = [
    "NieR: Automata, any% blindfold",
    "Über-Café ÉTÉ",
    "Die Straße der Ölsardinen",
    "東京タワー レース",
    "Don’t Starve race",
    "Прохождение Ведьмака",
]


FOUND = [
    ("automata", [0]),
    ("AUTOMATA nier", [0]),
    ("auto", [0]),
    ("auto blindfold", []),  # only what is still being typed may be half a word
    ("blindfold auto", [0]),
    ("uber", [1]),
    ("cafe ete", [1]),
    ("Café", [1]),
    ("olsardinen", [2]),
    ("東京", [3]),
    ("don't", [4]),
    ('"starve race"', [4]),
    ('"race starve"', []),
    ("starve -race", []),
    ("race -nothing", [4]),
    ("automata or starve", [0, 4]),
    ("ведьм", [5]),
    ("ＡＵＴＯ", [0]),
    ("any%", [0]),
    ("!!!", [0, 1, 2, 3, 4, 5]),
    ("´", [0, 1, 2, 3, 4, 5]),
    ("automata ´", [0]),
    ("   ", [0, 1, 2, 3, 4, 5]),
]


def test_words_are_found_in_any_language_and_spelling(
    library: Library, channel: Channel, add: Callable[..., Vod]
) -> None:
    for title in reversed(TITLES):  # of one stream, the VOD that came last is the newest
        add(title)
    found = {q: titles(library, channel, q) for q, _ in FOUND}
    assert found == {q: [TITLES[n] for n in numbers] for q, numbers in FOUND}


def test_the_newest_is_what_was_streamed_last_however_it_came_here(
    library: Library, channel: Channel, vod_parts: Callable[..., VodParts]
) -> None:
    for title, days in (("last", 3), ("first", 1), ("second", 2)):
        with library.session() as s:
            made = ensure_stream(s, channel, f"stream of {title}")
            set_stream_bounds(s, made.id, START + days * DAY, START + (days + 1) * DAY)
            vods.add_vod(s, *vod_parts(title, stream_id=made.id))
    assert titles(library, channel) == ["last", "second", "first"]


def test_descriptions_are_found_after_titles(
    library: Library, channel: Channel, add: Callable[..., Vod]
) -> None:
    add("The castle", created_at=START)
    add("Day two", description="We storm the castle, the castle!", created_at=START + DAY)
    with library.session() as s:
        best = finding.best_match(s, channel.id, Wanted("castle")).items
    assert [vod.title for vod in best] == ["The castle", "Day two"]
    assert titles(library, channel, "castle") == ["Day two", "The castle"]


def test_what_is_edited_is_found_by_its_new_words(
    library: Library, channel: Channel, add: Callable[..., Vod]
) -> None:
    made = add("Untitled")
    with library.session() as s:
        vods.edit(s, made.id, title="The big race", description="with friends")
    assert titles(library, channel, "untitled") == []
    assert titles(library, channel, "friends race") == ["The big race"]


ODD = st.text(
    st.one_of(
        st.sampled_from("\"'\\-!&|():*<> \t\n\x00\x1f or OR％＂＇﹅＼＆：🎮́İßſ"),
        st.characters(),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(q=ODD)
def test_a_query_is_made_of_quoted_words_and_operators_only(q: str) -> None:
    text = search_text(q)
    words = text.split("'")[1::2]
    assert all(words), "no word is empty"
    assert set("".join(text.split("'")[0::2])) <= set("&|!():*<-> ")


ODD_QUERIES = [
    *("'", '"', '""', "\\", "a:*", ":*", "!", "!!a", "-", "--a", "- a", "a & | b", "(", "((a"),
    *(
        "a <-> b",
        "or",
        "or or",
        "a or",
        "or a",
        '"a',
        'a"b"c',
        '-"a b"',
        "\x00a\x00",
        "％＇＼",
        "🎮",
        "´",
        "¨ or ´",
        '"´" a',
        "-\u0301",
        "a \u0345",
    ),
    *("a" * 5_000, "x " * 2_000, "ŉ ﹅ ＂", "'; drop table vods; --", "\ud83d", "a\ud83d"),
]


@pytest.mark.parametrize("order", [finding.newest, finding.best_match])
def test_nothing_that_is_typed_is_an_error(
    library: Library, channel: Channel, add: Callable[..., Vod], order: Callable[..., object]
) -> None:
    add("A game")
    with library.session() as s:
        for q in ODD_QUERIES:
            order(s, channel.id, Wanted(q))


def test_dates_are_those_of_the_streams_and_half_open(library: Library, channel: Channel) -> None:
    with library.session() as s:
        for n in range(3):
            stream = ensure_stream(s, channel, f"Stream {n}")
            set_stream_bounds(s, stream.id, START + n * DAY, START + (n + 1) * DAY)
            run = new_id("run")
            vods.add_vod(
                s,
                NewVod(new_id("vod"), stream.id, f"VOD {n}", 1, 1, 1, 1, 1.0, "h264", None, "x"),
                [NewRun(run, START, 0, 0, "x", 1, SHA256)],
                [NewVodSegment(run, 0, "x", 0, 1, 1, SHA256)],
            )
    assert titles(library, channel, from_at=START + DAY) == ["VOD 2", "VOD 1"]
    assert titles(library, channel, to_at=START + DAY) == ["VOD 0"]
    assert titles(library, channel, from_at=START + DAY, to_at=START + 2 * DAY) == ["VOD 1"]
    assert titles(library, channel, "vod", from_at=START + DAY) == ["VOD 2", "VOD 1"]


def test_an_order_by_rank_pages_through_all_once(
    library: Library, channel: Channel, add: Callable[..., Vod]
) -> None:
    made = [add(f"VOD {n}", created_at=START + n * DAY) for n in range(7)]
    ranked = ["vod_of_another", made[3].id, made[5].id, made[0].id]
    pages: list[str] = []
    with library.session() as s:
        for page in (1, 2, 3, 4):
            found, total = finding.by_rank(s, channel.id, Wanted(), ranked, page, 2)
            assert total == 7
            pages += [vod.title for vod in found]
        empty = finding.by_rank(s, channel.id, Wanted(), []).items
    assert pages == [f"VOD {n}" for n in (3, 5, 0, 6, 4, 2, 1)]
    assert [vod.title for vod in empty] == [f"VOD {n}" for n in (6, 5, 4, 3, 2, 1, 0)]


def test_only_the_owner_sees_private_ones_and_those_that_can_be_restored(
    library: Library, channel: Channel, add: Callable[..., Vod]
) -> None:
    add("public")
    add("private", is_public=False)
    for title in ("deleted", "being purged"):
        made = add(title)
        with library.session() as s:
            vod = vods.mark_deleted(s, made.id, NOW)
            vod.purge_started_at = NOW if title == "being purged" else None
    assert titles(library, channel) == ["public"]
    assert set(titles(library, channel, is_owner=True)) == {"public", "private", "deleted"}
