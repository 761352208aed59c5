"""Whatever people do in the library is in the outbox if and only if it happened."""

from __future__ import annotations

import pytest

from aethex.library import Channel, Library, OutboxEvent, User, Vod, likes, outbox, users, vods


@pytest.fixture
def user(library: Library) -> User:
    with library.session() as s:
        return users.ensure_user(s, "mika")


def waiting(library: Library) -> list[OutboxEvent]:
    with library.session() as s:
        return list(outbox.take(s, 100))


def told(library: Library) -> list[tuple[str, str | None, str]]:
    return [(event.kind, event.vod_id, event.payload["action"]) for event in waiting(library)]


def test_a_follow_and_its_end_are_told_once_each(library: Library, channel: Channel, user: User):
    with library.session() as s:
        assert users.follow(s, user.id, channel.id, "st_1")
        assert not users.follow(s, user.id, channel.id)
        assert users.unfollow(s, user.id, channel.id)
        assert not users.unfollow(s, user.id, channel.id)
    assert told(library) == [("follow", None, "follow"), ("follow", None, "unfollow")]
    first, second = waiting(library)
    assert (first.stream_id, first.viewer_id, first.channel_id) == ("st_1", user.id, channel.id)
    assert first.event_id != second.event_id


def test_a_like_and_its_end_are_told_once_each(library: Library, user: User, vod_parts):
    with library.session() as s:
        vod: Vod = vods.add_vod(s, *vod_parts())
        assert likes.like(s, user.id, vod)
        assert not likes.like(s, user.id, vod)
        assert likes.unlike(s, user.id, vod)
    assert told(library) == [("engagement", vod.id, "like"), ("engagement", vod.id, "unlike")]


def test_what_was_rolled_back_is_not_told(library: Library, channel: Channel, user: User):
    def follow_and_fail() -> None:
        with library.session() as s:
            users.follow(s, user.id, channel.id)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        follow_and_fail()
    assert waiting(library) == []


def test_two_that_take_at_once_get_different_events(library: Library, channel: Channel, user: User):
    with library.session() as s:
        users.follow(s, user.id, channel.id)
        users.unfollow(s, user.id, channel.id)
    with library.session() as one, library.session() as other:
        mine = outbox.take(one, 1)
        theirs = outbox.take(other, 5)
        assert [event.payload["action"] for event in (*mine, *theirs)] == ["follow", "unfollow"]
        outbox.remove(one, [event.id for event in mine])
    with library.session() as s:
        assert outbox.count(s) == 1
