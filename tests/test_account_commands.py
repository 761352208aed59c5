"""`aethex users …` and `aethex channels …`: accounts on the command line."""

from __future__ import annotations

from io import StringIO

import pytest

from aethex.library import Library, accounts, channels
from aethex.library.passwords import Passwords
from aethex.settings import Settings
from tests.commands import Commands, Outcome

PASSWORD = "correct horse battery"


@pytest.fixture
def aethex(settings: Settings) -> Commands:
    return Commands(
        settings.data_dir, settings.database_url, {"password_memory_bytes": str(8 * 1024)}
    )


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch):
    return lambda text: monkeypatch.setattr("sys.stdin", StringIO(text))


def knows(library: Library, username: str, password: str) -> bool:
    with library.session() as s:
        found = accounts.with_password(s, username)
    return found is not None and Passwords(8 * 1024).matches(found[1], password)


def test_accounts_are_made_listed_changed_and_audited(
    aethex: Commands, library: Library, type_in
) -> None:
    type_in(f"{PASSWORD}\n")
    made = aethex("users", "add", "ada", "--display-name", "Ada", "--role", "analyst")
    assert made.code == 0, made.stderr
    assert knows(library, "ada", PASSWORD)
    assert aethex("users", "role", "ada", "admin").code == 0
    listed = aethex("users", "list").stdout
    assert "ada" in listed
    assert "admin" in listed
    type_in("another password\n")
    assert aethex("users", "password", "ada").code == 0
    assert knows(library, "ada", "another password")
    log = aethex("users", "audit", "--user", "ada").stdout
    assert [word for word in log.split() if word.startswith("user.")] == [
        "user.sign_up",
        "user.set_role",
        "user.set_role",
        "user.set_password",
    ]
    for told in (made.stdout, listed, log):
        assert "password" not in told.replace("set_password", "")


def test_a_password_that_is_too_weak_is_refused_and_not_repeated(
    aethex: Commands, library: Library, type_in
) -> None:
    type_in("geheim\n")
    refused = aethex("users", "add", "ada")
    assert refused.code == 1
    assert "at least 10" in refused.stderr
    assert "geheim" not in refused.stderr
    with library.session() as s:
        assert accounts.list_all(s) == []


def test_an_imported_channel_gets_an_owner(aethex: Commands, library: Library, type_in) -> None:
    with library.session() as s:
        channels.ensure_channel(s, "retro")
    type_in(f"{PASSWORD}\n")
    aethex("users", "add", "ada")
    assert aethex("channels", "claim", "retro", "--owner", "ada").code == 0
    with library.session() as s:
        (mine,) = channels.owned_by(s, accounts.named(s, "ada").id)
    assert mine.username == "retro"


def test_what_is_not_there_is_named_in_one_line(aethex: Commands, type_in) -> None:
    def failed(outcome: Outcome, said: str) -> None:
        assert outcome.code in (1, 2)
        assert said in outcome.stderr

    failed(aethex("users", "role", "nobody", "admin"), "There is no user 'nobody'")
    failed(aethex("users", "role", "nobody", "king"), "is no role")
    failed(aethex("channels", "claim", "x", "--owner", "nobody"), "There is no channel 'x'")
    type_in(f"{PASSWORD}\n")
    failed(aethex("users", "add", "Not Good"), "such as 'not_good'")
