"""Forgetting in the library: rows without names stay, so that what others see is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from aethex.library import (
    Channel,
    Follow,
    Forgetting,
    InvalidValue,
    Library,
    Like,
    OutboxEvent,
    User,
    Vod,
    WatchProgress,
    accounts,
    audit,
    forgetting,
    identities,
    likes,
    new_id,
    outbox,
    sessions,
    users,
    vods,
    watching,
)
from aethex.library.audit import Actor
from aethex.library.ids import is_id
from tests.library.conftest import VodParts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOUND = {"users": 1, "channels": 1, "follows": 1, "likes": 1, "watch_progress": 1, "outbox": 2}


@pytest.fixture
def vod(library: Library, vod_parts: Callable[..., VodParts]) -> Vod:
    with library.session() as s:
        return vods.add_vod(s, *vod_parts())


@pytest.fixture
def mika(library: Library, channel: Channel, vod: Vod) -> User:
    """A user who owns the channel, and with another one follows it, likes and watches its VOD."""
    with library.session() as s:
        pair = [users.ensure_user(s, name, name.title()) for name in ("mika", "other")]
        for user in pair:
            users.follow(s, user.id, channel.id)
            likes.like(s, user.id, vod)
            watching.save(s, user.id, vod, 5_000, NOW, NOW)
        s.get_one(Channel, channel.id).owner_id = pair[0].id
        return pair[0]


def empty(library: Library, viewer_id: str, new: str) -> dict[str, int]:
    with library.session() as s:
        return forgetting.empty(s, viewer_id, new)


def count(library: Library, table: type[Follow | Like | User | OutboxEvent | WatchProgress]) -> int:
    with library.session() as s:
        return s.scalar(select(func.count()).select_from(table)) or 0


def test_no_name_is_left_and_every_count_is_the_same(
    library: Library, mika: User, channel: Channel
) -> None:
    new = new_id("usr")
    counts = [count(library, table) for table in (Follow, Like, User, OutboxEvent)]
    done = empty(library, mika.id, new)
    assert done == FOUND
    assert count(library, WatchProgress) == 1, "the other one's"
    assert [count(library, table) for table in (Follow, Like, User, OutboxEvent)] == counts
    with library.session() as s:
        assert users.by_username(s, "mika") is None
        ghost = s.get_one(User, new)
        assert ghost.username.startswith("forgotten-")
        assert ghost.display_name == "Forgotten viewer"
        assert s.get_one(Channel, channel.id).owner_id == new
        assert {event.viewer_id for event in outbox.take(s, 10)} >= {new}
        assert forgetting.search(s, mika.id, is_unmistakable=True) == {}
    assert sum(empty(library, mika.id, new_id("usr")).values()) == 0


def test_an_account_goes_with_its_password_its_sessions_and_what_the_log_tells(
    library: Library,
) -> None:
    by_root = Actor("usr_01K9Z3ABCDEFGHJKMNPQRSTVWX", "192.0.2.1")
    with library.session() as s:
        ada = accounts.sign_up(s, Actor(None, "192.0.2.7"), "ada", "Ada", "hash")
        secret = sessions.begin(s, ada.id, NOW)
        identities.link(s, Actor(ada.id, "192.0.2.7"), ada.id, "https://id.example", "ada")
        accounts.set_display_name(s, Actor(ada.id, "192.0.2.7"), ada.id, "Ada L.")
        accounts.set_role(s, by_root, ada.id, "analyst")
        audit.record(s, by_root, "channel.set_owner", "ch_1", owner_id=[None, ada.id])
        audit.record(s, Actor(None, "192.0.2.7"), "user.sign_in_failed", username_tried="ada")
        audit.record(s, by_root, "channel.create", "ch_1", username="ada")  # of a channel
    new = new_id("usr")
    done = empty(library, ada.id, new)
    assert (done["credentials"], done["user_sessions"], done["audit_log"]) == (1, 1, 6)
    assert done["identities"] == 1
    with library.session() as s:
        assert sessions.user_of(s, secret, NOW, timedelta(days=1)) is None
        assert accounts.with_password(s, "ada") is None
        assert identities.user_of(s, "https://id.example", "ada") is None
        ghost = s.get_one(User, new)
        assert (ghost.role, accounts.with_password(s, ghost.username)) == ("viewer", None)
        log = [(e.user_id, e.subject_id, e.changes, e.address) for e in audit.latest(s, 9)]
        assert log[::-1] == [
            (new, new, {}, None),
            (new, new, {}, None),
            (new, new, {}, None),
            (by_root.user_id, new, {}, "192.0.2.1"),
            (by_root.user_id, "ch_1", {}, "192.0.2.1"),
            (None, None, {}, None),
            (by_root.user_id, "ch_1", {"username": "ada"}, "192.0.2.1"),
        ]
        assert forgetting.search(s, ada.id, is_unmistakable=True) == {}


def test_the_search_finds_every_row(library: Library, mika: User) -> None:
    with library.session() as s:
        found = FOUND
        assert forgetting.search(s, mika.id, is_unmistakable=True) == found
        assert forgetting.search(s, mika.id, is_unmistakable=False) == found
        s.get_one(Channel, s.scalars(select(Channel.id)).one()).title = f"by {mika.id}"
        s.flush()
        assert forgetting.search(s, mika.id, is_unmistakable=True) == found


def test_the_search_looks_into_tables_of_others_too(library: Library, mika: User) -> None:
    with library.session() as s:
        s.execute(text("create schema if not exists dagster"))
        s.execute(text("create table dagster.a_log (id int, event text)"))
        values = {"event": f"check failed at viewer={mika.id}"}
        s.execute(text("insert into dagster.a_log values (1, :event)"), values)
        found = forgetting.search(s, mika.id, is_unmistakable=True)
        assert found["dagster.a_log"] == 1


def test_an_id_that_is_also_a_number_is_not_found_in_numbers(library: Library, mika: User) -> None:
    with library.session() as s:
        numbers = [str(event.id) for event in outbox.take(s, 10)]
        assert all(forgetting.search(s, n, is_unmistakable=False) == {} for n in numbers)
    assert mika.id not in numbers


def test_a_viewer_without_an_account_leaves_the_outbox_alone(library: Library, mika: User) -> None:
    assert empty(library, "vw_01K9Z3ABCDEFGHJKMNPQRSTVWX", "vw_new") == {"users": 0, "outbox": 0}
    with library.session() as s:
        assert users.by_username(s, "mika") is not None
    assert mika.display_name == "Mika"


def test_it_waits_for_a_drain_that_is_at_work(library: Library, mika: User) -> None:
    done: list[dict[str, int]] = []
    thread = threading.Thread(target=lambda: done.append(empty(library, mika.id, new_id("usr"))))
    with library.session() as s:
        taken = outbox.take(s, 10)
        thread.start()
        outbox.remove(s, [event.id for event in taken])
    thread.join(60)
    assert done[0]["outbox"] == 0


def test_a_follow_that_is_under_way_is_not_lost(
    library: Library, mika: User, channel: Channel
) -> None:
    done: list[dict[str, int]] = []
    thread = threading.Thread(target=lambda: done.append(empty(library, mika.id, new_id("usr"))))
    with library.session() as s:
        users.unfollow(s, mika.id, channel.id)
    with library.session() as s:
        users.follow(s, mika.id, channel.id)
        s.flush()
        thread.start()
        with library.session() as watching:
            waits = text("select count(*) from pg_locks where not granted")
            while thread.is_alive() and not watching.scalar(waits):
                pass
    thread.join(60)
    assert done[0]["follows"] == 1
    assert count(library, Follow) == 2


@pytest.mark.parametrize(
    "viewer_id",
    ["vw_01K9Z3ABCDEFGHJKMNPQRSTVWX", "usr_01K9Z3ABCDEFGHJKMNPQRSTVWX"],
)
def test_the_new_id_has_the_old_ones_form_and_stays_the_same(
    library: Library, viewer_id: str
) -> None:
    with library.session() as s:
        row = forgetting.begin(s, viewer_id)
        new = forgetting.new_id_of(row, viewer_id)
        assert new.split("_")[0] == viewer_id.split("_")[0]
        assert len(new) == len(viewer_id)
        assert new != viewer_id
    with library.session() as s:
        again = forgetting.unfinished(s, viewer_id)
        assert again is not None
        assert forgetting.new_id_of(again, viewer_id) == new
        assert forgetting.new_id_of(forgetting.begin(s, viewer_id), viewer_id) != new


def test_ids_of_other_forms_get_a_uuid_or_one_like_ours(library: Library) -> None:
    with library.session() as s:
        row = forgetting.begin(s, "42")
        assert forgetting.new_id_of(row, "42").startswith("vw_")
        old = "0c9e5c9e-2a56-4a5b-8a1f-3f1d2a7b9c11"
        assert UUID(forgetting.new_id_of(row, old)).version == 4
        assert is_id("usr", forgetting.new_id_of(row, new_id("usr")))


def test_the_journal_tells_no_id_and_forgets_its_key(library: Library) -> None:
    old, other = "vw_01K9Z3ABCDEFGHJKMNPQRSTVWX", "vw_01K9Z3ABCDEFGHJKMNPQRSTVWY"
    with library.session() as s:
        row = forgetting.begin(s, old)
        new = forgetting.new_id_of(row, old)
        assert forgetting.unfinished(s, other) is None
        assert forgetting.count_unfinished(s) == 1
        for one in (old, new):
            assert forgetting.search(s, one, is_unmistakable=True) == {}
        forgetting.finish(s, row.id, {"landed_events": 3}, NOW)
    with library.session() as s:
        assert forgetting.unfinished(s, old) is None
        row = s.scalars(select(Forgetting)).one()
        assert (row.counts, row.finished_at) == ({"landed_events": 3}, NOW)


@pytest.mark.parametrize("viewer_id", ["", " ", "a\nb", "ü", "x" * 65])
def test_what_is_no_id_is_refused_in_one_line(viewer_id: str) -> None:
    with pytest.raises(InvalidValue, match="no viewer's id"):
        forgetting.valid_viewer_id(viewer_id)
