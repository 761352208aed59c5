"""Which VODs a visitor may see, and which they may change.

What belongs here: that everybody sees what is listed, and owners all of their own. What does not:
who asks (`identity`), bytes of media (`media`).
"""

from __future__ import annotations

from fastapi import Request
from sqlalchemy.orm import Session

from aethex.library import Channel, Vod, channels, vods
from aethex.library.ids import is_id
from aethex.service.identity import Visitor, owns, required_owner
from aethex.service.problems import not_found


def visible_vod(
    session: Session, visitor: Visitor, vod_id: str, *, in_the_making: bool = False
) -> Vod:
    """The VOD, if the visitor may see it; `in_the_making`: its owner also while it is not ready.

    Raises the Problem 404, the same as for one that is not there: what is private, deleted or not
    ready is not known to others.
    """
    vod = vods.get(session, vod_id) if is_id("vod", vod_id) else None
    if vod is not None:
        is_shown_to_owner = in_the_making or vod.status == "ready"
        if vods.is_listed_row(vod) or (is_shown_to_owner and _is_own(session, visitor, vod)):
            return vod
    raise not_found("VOD", vod_id)


def own_vod(request: Request, session: Session, vod_id: str) -> Vod:
    """A VOD of the signed-in user, in any state. Ask who that is before the session is opened.

    Raises Problem: 404 where the visitor may not know of it, else 401 or 403.
    """
    vod = vods.get(session, vod_id) if is_id("vod", vod_id) else None
    if vod is None:
        raise not_found("VOD", vod_id)
    channel = _channel_of(session, vod)
    hidden = None if vods.is_listed_row(vod) else not_found("VOD", vod_id)
    required_owner(request, channel, hidden=hidden)
    return vod


def _is_own(session: Session, visitor: Visitor, vod: Vod) -> bool:
    if visitor.user is None or vod.purge_started_at is not None:
        return False
    return owns(visitor, _channel_of(session, vod))


def _channel_of(session: Session, vod: Vod) -> Channel:
    channel = channels.get(session, vod.channel_id)
    assert channel is not None  # a VOD has one, by its foreign key
    return channel
