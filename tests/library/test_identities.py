"""Who users are at an issuer, in the library."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from aethex.library import InvalidValue, Library, NotInLibrary, User, accounts, identities, users
from aethex.library.audit import COMMAND_LINE

ISSUER = "https://id.example"


def come(library: Library, subject: str, username: str, name: str = "") -> User:
    with library.session() as s:
        return identities.ensure_user(
            s, COMMAND_LINE, ISSUER, subject, username=username, display_name=name
        )


@pytest.mark.parametrize(
    ("wish", "username"),
    [
        ("ada", "ada"),
        ("Ada.Lovelace@example.com", "ada_lovelace"),
        ("Größe", "groe"),
        ("--x--", "user"),
        ("艾达", "user"),
        ("", "user"),
        ("x" * 50, "x" * 40),
        ("a" + "-" * 60 + "b", "a" + "-" * 39),
        ("a\0b", "a_b"),
        ("\ud800ada", "ada"),
    ],
)
def test_any_wish_becomes_a_username(wish: str, username: str) -> None:
    assert identities.username_from(wish) == username


def test_namesakes_get_numbers_and_then_something_random(library: Library) -> None:
    names = [come(library, str(n), "x" * 50).username for n in range(22)]
    assert names[:3] == ["x" * 40, "x" * 37 + "-2", "x" * 37 + "-3"]
    assert len(set(names)) == 22
    assert all(len(name) <= 40 for name in names)


def test_a_display_name_that_cannot_be_one_is_the_username(library: Library) -> None:
    assert come(library, "1", "ada", "\x07").display_name == "ada"
    assert come(library, "2", "bob", " Bob ").display_name == "Bob"


def test_callers_at_once_get_the_same_account(library: Library) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: come(library, "1", "ada").id, range(6)))
    assert len(set(found)) == 1
    with library.session() as s:
        assert [user.username for user in accounts.list_all(s)] == ["ada"]


def test_the_same_subject_of_another_issuer_is_somebody_else(library: Library) -> None:
    come(library, "1", "ada")
    with library.session() as s:
        assert identities.user_of(s, "https://other.example", "1") is None
        assert identities.user_of(s, ISSUER, "1 ") is None


def test_linking_twice_is_linking_once(library: Library) -> None:
    with library.session() as s:
        ada = users.ensure_user(s, "ada")
        for _ in range(2):
            identities.link(s, COMMAND_LINE, ada.id, ISSUER, "1")
        with pytest.raises(InvalidValue, match="only way"):  # she has no password
            identities.unlink(s, COMMAND_LINE, ada.id, ISSUER)
        identities.unlink(s, COMMAND_LINE, ada.id, "https://other.example")
        with pytest.raises(NotInLibrary):
            identities.link(s, COMMAND_LINE, "usr_x", ISSUER, "2")
