"""Queries about channels, users and categories."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from aethex.library import InvalidValue, Library, categories, channels, users


def at_once(library: Library, count: int, call) -> list[str]:
    """Ids of what `call(session)` gives in `count` transactions that all run at the same time."""
    barrier = Barrier(count)

    def work() -> str:
        with library.session() as s:
            s.connection()
            barrier.wait()
            return call(s).id

    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(work) for _ in range(count)]]


def test_a_channel_is_made_once_and_found_again(library):
    with library.session() as s:
        made = channels.ensure_channel(s, "gdq", "Games Done Quick")
    with library.session() as s:
        again = channels.ensure_channel(s, "gdq", "Another title")
        assert again.id == made.id
        assert again.title == "Games Done Quick"
        assert channels.by_username(s, "gdq") is again
        assert channels.get(s, made.id) is again
        assert channels.get(s, "ch_nobody") is None


def test_a_channel_without_a_title_is_titled_by_its_username(library):
    with library.session() as s:
        assert channels.ensure_channel(s, "gdq").title == "gdq"


@pytest.mark.parametrize("round_", range(3))
def test_imports_at_once_make_one_channel(library, round_):
    ids = at_once(library, 8, lambda s: channels.ensure_channel(s, f"gdq{round_}"))
    assert len(set(ids)) == 1


def test_a_bad_username_makes_no_channel(library):
    with pytest.raises(InvalidValue), library.session() as s:
        channels.ensure_channel(s, "Games Done Quick")
    with library.session() as s:
        assert channels.list(s).total == 0


def test_channels_are_listed_by_username_in_pages(library):
    with library.session() as s:
        for name in ("cc", "aa", "bb"):
            channels.ensure_channel(s, name)
        first, total = channels.list(s, page=1, per_page=2)
        second, _ = channels.list(s, page=2, per_page=2)
    assert total == 3
    assert [channel.username for channel in first] == ["aa", "bb"]
    assert [channel.username for channel in second] == ["cc"]


@pytest.mark.parametrize(("page", "per_page"), [(0, 10), (-1, 10), (1, 0), (1, 201)])
def test_a_page_out_of_bounds_is_refused(library, page, per_page):
    with pytest.raises(InvalidValue), library.session() as s:
        channels.list(s, page, per_page)


def test_users_at_once_make_one_user(library):
    assert len(set(at_once(library, 6, lambda s: users.ensure_user(s, "ada", "Ada")))) == 1


def test_following_twice_is_following_once(library, channel):
    with library.session() as s:
        user = users.ensure_user(s, "ada")
        assert users.follow(s, user.id, channel.id)
        assert not users.follow(s, user.id, channel.id)
        assert [followed.id for followed in users.followed_channels(s, user.id)] == [channel.id]
        assert users.unfollow(s, user.id, channel.id)
        assert not users.unfollow(s, user.id, channel.id)
        assert users.followed_channels(s, user.id) == []


def test_categories_are_found_by_the_names_as_they_were_given(library):
    with library.session() as s:
        found = categories.ensure_categories(s, ["Celeste", " Celeste ", "Doom"])
        assert found["Celeste"] is found[" Celeste "]
        assert found["Doom"].name == "Doom"
        again = categories.ensure_categories(s, ["Doom", "Portal"])
        assert again["Doom"].id == found["Doom"].id
        assert categories.ensure_categories(s, []) == {}


def test_imports_at_once_make_each_category_once(library):
    names = [f"Game {n}" for n in range(50)]
    ids = at_once(library, 6, lambda s: categories.ensure_categories(s, names)["Game 7"])
    assert len(set(ids)) == 1


def test_categories_are_made_in_one_order_so_that_imports_do_not_wait_for_each_other(library):
    inserted: list[list[str]] = []

    def note(*event: Any) -> None:
        statement, parameters = event[2], event[3]
        if statement.startswith("INSERT INTO categories"):
            inserted.append([value for value in parameters.values() if value.startswith("Game")])

    sqlalchemy_event.listen(library.engine, "before_cursor_execute", note)
    names = [f"Game {n}" for n in range(20)]
    for order in (names, names[::-1]):
        with library.session() as s:
            categories.ensure_categories(s, order)
            s.rollback()
    assert inserted == [sorted(names)] * 2
