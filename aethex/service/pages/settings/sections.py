"""What a section of the settings page consists of, and how its forms end.

What belongs here: what all sections share. What does not: any section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse

from aethex.library import Channel, InvalidValue, User, channels
from aethex.service.identity import owns, required_owner, visitor_of
from aethex.service.problems import Problem, not_found


@dataclass(frozen=True, slots=True)
class Section:
    """A section: `name` is its anchor and its template, `templates/settings/<name>.html`.

    heading: of sections that are not everywhere: the title here, or None where there is no such
    section. values: what the template gets as `v`, beside `user`, `error` (or None), `entered` and
    `csrf_field`; it may ask the library with the session.
    """

    name: str
    title: str
    values: Callable[[Request, Session, User], Mapping[str, Any]] = lambda *_: {}
    heading: Callable[[Request], str | None] | None = None

    def title_in(self, request: Request) -> str | None:
        """Its title on the page of this request; None: it is not on it."""
        return self.heading(request) if self.heading else self.title


@dataclass
class Refused(Exception):
    """A form of a section that cannot be taken: the page is drawn again (422), with what was
    entered (never passwords).
    """

    section: str
    form_field: str
    detail: str
    entered: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def refusing(section: Section, form_field: str, **entered: str) -> Iterator[None]:
    """Let what the library refuses in this block be said beside that field of the section."""
    try:
        yield
    except InvalidValue as error:
        raise Refused(section.name, form_field, str(error), entered) from error


def saved(section: Section, channel: str | None = None) -> RedirectResponse:
    """Back to the page, which says that the section was saved; `channel`: of the channel of this
    username.
    """
    of = f"&channel={quote(channel)}" if channel else ""
    path = f"/settings?saved={section.name}{of}#{section.name}"
    return RedirectResponse(path, status_code=303)


@dataclass(frozen=True, slots=True)
class OwnChannels:
    """The channel that sections about a channel show, and all that may be shown in its place."""

    shown: Channel | None
    choices: Sequence[Channel]


def own_channels(request: Request, s: Session, user: User) -> OwnChannels:
    """Shown is the channel that the address names (`channel`, a username) if it is the user's, as
    all are an admin's; else their first one, or None where they have none.
    """
    own = channels.owned_by(s, user.id)
    name = request.query_params.get("channel", "")
    named = channels.by_username(s, name) if name.isprintable() else None
    if named is None or not owns(visitor_of(request), named):
        return OwnChannels(own[0] if own else None, own)
    is_own = any(one.id == named.id for one in own)
    return OwnChannels(named, own if is_own else [named, *own])


def own_channel(
    request: Request, s: Session, channel_id: str, *, hidden: Problem | None = None
) -> Channel:
    """The channel of this id, which is the signed-in user's. Raises Problem: 401, 403, 404; for
    what others may not know of, `hidden` in place of them.
    """
    channel = channels.get(s, channel_id) if channel_id.isprintable() else None
    if channel is None:
        raise hidden or not_found("channel", channel_id)
    required_owner(request, channel, hidden=hidden)
    return channel
