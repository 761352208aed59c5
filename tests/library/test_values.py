"""What may be stored as a username or a title."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.library.errors import InvalidValue
from aethex.library.values import MAX_TEXT_LENGTH, valid_text, valid_username


@pytest.mark.parametrize("name", ["gdq", "a1", "games_done-quick", "0x", "a" * 40])
def test_a_username_passes_unchanged(name):
    assert valid_username(name) == name


@pytest.mark.parametrize(
    "name", ["", "a", "GDQ", "a b", "-a", "_a", "a" * 41, "ü1", "a/b", "ab\n", "..", "a\x00b"]
)
def test_what_cannot_be_a_username_is_refused_and_named(name):
    with pytest.raises(InvalidValue) as caught:
        valid_username(name)
    assert repr(name) in str(caught.value)
    assert "2 to 40" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("GDQ", "'gdq'"), ("Games Done Quick", "'games_done_quick'"), ("Zoë", "'zoe'")],
)
def test_the_refusal_suggests_a_name_that_would_pass(name, suggestion):
    with pytest.raises(InvalidValue, match=f"such as {suggestion}"):
        valid_username(name)


@given(st.text())
def test_every_suggestion_would_pass(name):
    try:
        valid_username(name)
    except InvalidValue as error:
        if "such as " in str(error):
            valid_username(str(error).rsplit("'", 2)[1])


def test_a_title_loses_the_spaces_around_it():
    assert valid_text("  AGDQ 2020 🎮\n", "title") == "AGDQ 2020 🎮"


@pytest.mark.parametrize("text", ["", "  \n", "a\x00b", "a\nb", "x" * (MAX_TEXT_LENGTH + 1)])
def test_a_title_that_cannot_be_stored_is_refused_by_its_name(text):
    with pytest.raises(InvalidValue, match="stream's title"):
        valid_text(text, "stream's title")
