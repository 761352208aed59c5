"""Server tokens: recognised by their secret, which nobody can read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from aethex.library import Channel, InvalidValue, Library, NotInLibrary, audit, tokens
from aethex.library.audit import Actor

NOW = datetime(2026, 1, 30, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def recognised(library: Library, secret: str, now: datetime = NOW) -> str | None:
    with library.session() as s:
        token = tokens.recognise(s, secret, now)
        return token.id if token else None


def test_a_token_is_recognised_by_its_text_alone(library: Library, channel: Channel):
    with library.session() as s:
        mine, secret = tokens.create(s, "chat relay", channel.id)
        other, other_secret = tokens.create(s, "platform", None)
    assert recognised(library, secret) == mine.id
    assert recognised(library, other_secret) == other.id
    assert (mine.channel_id, other.channel_id) == (channel.id, None)
    mixed = "_".join([*secret.split("_")[:2], other_secret.split("_", 2)[2]])
    assert recognised(library, mixed) is None


def test_its_secret_is_nowhere_in_the_database(library: Library):
    with library.session() as s:
        _, secret = tokens.create(s, "chat relay", None)
    with library.session() as s:
        rows = s.execute(text("select server_tokens::text from server_tokens")).scalars().all()
    assert secret.split("_", 2)[2] not in "".join(rows)


def test_after_a_rotation_the_old_secret_is_good_for_the_overlap(library: Library):
    with library.session() as s:
        token, old = tokens.create(s, "chat relay", None)
    with library.session() as s:
        _, new = tokens.rotate(s, token.id, NOW, HOUR)
    assert recognised(library, new) == token.id
    assert recognised(library, old, NOW + HOUR / 2) == token.id
    assert recognised(library, old, NOW + HOUR) is None
    assert recognised(library, new, NOW + 100 * HOUR) == token.id


def test_a_revoked_token_is_good_for_nothing(library: Library):
    with library.session() as s:
        token, old = tokens.create(s, "chat relay", None)
        _, new = tokens.rotate(s, token.id, NOW, HOUR)
        tokens.revoke(s, token.id, NOW)
        tokens.revoke(s, token.id, NOW + HOUR)
    assert recognised(library, old) is None
    assert recognised(library, new) is None
    with library.session() as s:
        assert [found.revoked_at for found in tokens.list_all(s)] == [NOW]
        with pytest.raises(InvalidValue, match="was revoked"):
            tokens.rotate(s, token.id, NOW, HOUR)


def test_who_made_rotated_and_revoked_it_is_in_the_audit_log(library: Library, channel: Channel):
    ada = Actor(None, "192.0.2.7")
    with library.session() as s:
        token, _ = tokens.create(s, "chat relay", channel.id, ada)
        tokens.rotate(s, token.id, NOW, HOUR, ada)
        for _ in range(2):
            tokens.revoke(s, token.id, NOW, ada)
        found = [(e.action, e.subject_id, e.changes) for e in reversed(audit.latest(s, 9))]
        assert {e.address for e in audit.latest(s, 9)} == {"192.0.2.7"}
    assert found == [
        ("token.create", token.id, {"name": "chat relay", "channel_id": channel.id}),
        ("token.rotate", token.id, {"overlap_seconds": 3600}),
        ("token.revoke", token.id, {}),
    ]


def test_an_unknown_id_is_named(library: Library):
    with library.session() as s, pytest.raises(NotInLibrary, match="tok_1"):
        tokens.revoke(s, "tok_1", NOW)


@hypothesis_settings(max_examples=40, deadline=None)
@given(anything=st.one_of(st.text(), st.from_regex(r"aethex_[0-9A-Z]{26}_[A-Za-z0-9_-]{43}")))
def test_no_other_text_is_a_token(anything: str):
    class Empty:
        def get(self, *_: object) -> None:
            return None

    assert tokens.recognise(Empty(), anything, NOW) is None  # pyright: ignore[reportArgumentType]
