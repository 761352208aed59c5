"""Whose a piece of content is, asked for many at a time."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import event

from aethex.library import Channel, Library, Stream, new_id, vods
from aethex.library.content import channels_of


def test_streams_vods_and_channels_have_their_channel(
    library: Library, channel: Channel, stream: Stream, vod_parts
) -> None:
    with library.session() as s:
        vod = vods.add_vod(s, *vod_parts())
        ids = {stream.id, vod.id, channel.id}
        assert channels_of(s, ids) == dict.fromkeys(ids, channel.id)


def test_what_is_not_there_is_left_out(library: Library, stream: Stream) -> None:
    with library.session() as s:
        others = [
            new_id("st"),
            new_id("vod"),
            new_id("ch"),
            new_id("usr"),
            "clip_1",
            "st_",
            "",
            "x",
        ]
        assert channels_of(s, [stream.id, *others]) == {stream.id: stream.channel_id}


def test_private_and_deleted_vods_have_theirs_too(
    library: Library, channel: Channel, vod_parts
) -> None:
    with library.session() as s:
        private = vods.add_vod(s, *vod_parts("Private", is_public=False))
        deleted = vods.add_vod(s, *vod_parts("Deleted"))
        vods.mark_deleted(s, deleted.id, datetime(2026, 1, 1, tzinfo=UTC))
    with library.session() as s:
        found = channels_of(s, [private.id, deleted.id])
    assert found == {private.id: channel.id, deleted.id: channel.id}


def test_a_batch_costs_one_query_for_each_kind_that_is_in_it(
    library: Library, stream: Stream
) -> None:
    asked: list[str] = []
    event.listen(
        library.engine, "before_cursor_execute", lambda _c, _cur, sql, *_: asked.append(sql)
    )
    with library.session() as s:
        assert channels_of(s, []) == {}
        assert asked == []
        channels_of(s, [stream.id, *(new_id("st") for _ in range(1000))])
    assert len(asked) == 1
