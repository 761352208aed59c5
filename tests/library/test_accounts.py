"""Accounts, sessions, attempts and the audit log in the library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aethex.library import (
    InvalidValue,
    Library,
    NotInLibrary,
    User,
    accounts,
    attempts,
    audit,
    sessions,
    users,
)
from aethex.library import channels as channel_queries
from aethex.library.audit import COMMAND_LINE, Actor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEEP = timedelta(days=30)


@pytest.fixture
def ada(library: Library) -> User:
    with library.session() as s:
        return accounts.sign_up(s, COMMAND_LINE, "ada", "Ada", "hash")


def test_a_write_and_its_entry_are_one_transaction(library: Library, ada: User) -> None:
    def fail_at_the_end() -> None:
        with library.session() as s:
            accounts.set_role(s, COMMAND_LINE, ada.id, "admin")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_at_the_end()
    with library.session() as s:
        assert [entry.action for entry in audit.latest(s, 9)] == ["user.sign_up"]
        assert s.get_one(User, ada.id).role == "viewer"


def test_an_entry_says_who_did_what_to_whom_from_where(library: Library, ada: User) -> None:
    with library.session() as s:
        admin = users.ensure_user(s, "root")
        accounts.set_role(s, Actor(admin.id, "192.0.2.1"), ada.id, "analyst")
        accounts.set_role(s, Actor(admin.id, "192.0.2.1"), ada.id, "analyst")  # no change
        (entry,) = audit.latest(s, 9, about=admin.id)
        assert (entry.user_id, entry.action, entry.subject_id, entry.changes, entry.address) == (
            admin.id,
            "user.set_role",
            ada.id,
            {"role": ["viewer", "analyst"]},
            "192.0.2.1",
        )
        assert len(audit.latest(s, 9, about=ada.id)) == 2


def test_what_is_not_there_is_named(library: Library) -> None:
    nobody = "usr_01K9Z3ABCDEFGHJKMNPQRSTVWX"
    with library.session() as s:
        with pytest.raises(NotInLibrary, match=nobody):
            accounts.set_role(s, COMMAND_LINE, nobody, "admin")
        with pytest.raises(NotInLibrary, match=nobody):
            channel_queries.create(s, COMMAND_LINE, nobody, "name", "")
        with pytest.raises(NotInLibrary, match="'nobody'"):
            accounts.named(s, "nobody")


def test_an_imported_user_has_no_password_until_one_is_set(library: Library) -> None:
    with library.session() as s:
        imported = users.ensure_user(s, "imported")
        assert accounts.with_password(s, "imported") is None
        with pytest.raises(InvalidValue, match="taken"):
            accounts.sign_up(s, COMMAND_LINE, "imported", "", "hash")
        accounts.set_password(s, COMMAND_LINE, imported.id, "first", NOW)
        accounts.set_password(s, COMMAND_LINE, imported.id, "second", NOW)
        accounts.rehash(s, imported.id, "first", "late")  # it was changed meanwhile
        found = accounts.with_password(s, "imported")
        assert found is not None
        assert found[1] == "second"


def test_a_channel_passes_from_owner_to_owner(library: Library, ada: User) -> None:
    with library.session() as s:
        channel = channel_queries.ensure_channel(s, "gdq")
        other = users.ensure_user(s, "other")
        for owner in (ada.id, other.id, None):
            channel_queries.claim(s, COMMAND_LINE, channel.id, owner)
            assert channel.owner_id == owner
        changes = [e.changes["owner_id"] for e in audit.latest(s, 9, about=channel.id)]
        assert changes == [[other.id, None], [ada.id, other.id], [None, ada.id]]


def test_a_session_that_is_used_is_noted_at_most_once_an_hour(library: Library, ada: User) -> None:
    with library.session() as s:
        secret = sessions.begin(s, ada.id, NOW)
        for minutes, noted in ((59, 0), (61, 61), (90, 61), (30 * 24 * 60 + 60, 43260)):
            at = NOW + timedelta(minutes=minutes)
            user = sessions.user_of(s, secret, at, KEEP)
            assert user is not None
            alive = sessions.count(s, ada.id, NOW + timedelta(minutes=noted) + KEEP, KEEP)
            assert alive == 0
            assert sessions.count(s, ada.id, NOW + timedelta(minutes=noted - 1) + KEEP, KEEP) == 1


def test_ending_sessions_leaves_the_one_that_is_spared(library: Library, ada: User) -> None:
    with library.session() as s:
        secrets = [sessions.begin(s, ada.id, NOW) for _ in range(3)]
        assert sessions.end_all(s, ada.id, but=secrets[1]) == 2
        assert sessions.user_of(s, secrets[1], NOW, KEEP) is not None
        assert sessions.user_of(s, secrets[0], NOW, KEEP) is None
        assert sessions.end(s, secrets[1])
        assert not sessions.end(s, secrets[1])


def test_attempts_are_counted_in_windows(library: Library) -> None:
    window = timedelta(minutes=15)
    with library.session() as s:
        ends = NOW + window
        later = NOW + timedelta(minutes=14)
        assert attempts.count(s, "k", NOW, window) == (1, ends)
        assert attempts.count(s, "k", later, window) == (2, ends)
        attempts.take_back(s, ["k", "unknown"])
        assert attempts.count(s, "k", later, window) == (2, ends)
        assert attempts.count(s, "k", ends, window) == (1, ends + window)
        attempts.remove_old(s, ends + window, window)
        assert attempts.count(s, "k", ends + timedelta(minutes=1), window)[0] == 1
