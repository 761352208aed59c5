"""The pages' addresses: home, and one VOD.

What belongs here: which rows a page needs. What does not: their wording (`views.py`), HTML
(templates), a channel's page (`channel.py`), one's own history (`history.py`).
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from aethex.library import channels, listings, recording, streams, users, vods, watching
from aethex.media.languages import NAMES
from aethex.service.headers import PLAYER_POLICY
from aethex.service.identity import owns, visitor_of
from aethex.service.pages.audience import audience_of
from aethex.service.pages.captions_view import captions_views
from aethex.service.pages.loading import as_of_text, load_views
from aethex.service.pages.templating import draw
from aethex.service.pages.views import channel_view
from aethex.service.problems import not_found
from aethex.service.resources import resources_of
from aethex.service.vod_access import visible_vod

router = APIRouter(include_in_schema=False)

_NEWEST = 13  # one large and three rows of four
_CHANNELS_ON_HOME = 24
_RELATED = 8
_LIVE = 12
_BEGUN = 4
_FOLLOWED = 8


@router.get("/", response_class=HTMLResponse)
def home(request: Request) -> Response:
    """What the visitor began, what is new from channels they follow, and the newest VODs of all."""
    resources, visitor = resources_of(request), visitor_of(request)
    begun, followed, follows_any = [], [], False
    with resources.library.session() as session:
        found, channels_total = channels.list(session, page=1, per_page=_CHANNELS_ON_HOME)
        newest = listings.newest_vods(session, _NEWEST)
        counts = listings.count_vods(session, [channel.id for channel in found])
        on_air = streams.live_now(session, _LIVE)
        live_channels = channels.by_ids(session, {stream.channel_id for stream in on_air})
        if visitor.user is not None:
            user_id = visitor.user.id
            begun = [one.vod for one in watching.continue_watching(session, visitor.user, _BEGUN)]
            followed = watching.recommended(session, user_id, _FOLLOWED)
            follows_any = bool(followed) or users.follows_any(session, user_id)
        cards = load_views(session, [*begun, *followed, *newest], resources, visitor)
    at, after = len(begun), len(begun) + len(followed)
    lead, *rest = cards[after:] or [None]
    return draw(
        request,
        "home.html",
        here="home",
        begun=cards[:at],
        followed=cards[at:after],
        follows_any=follows_any,
        lead=lead,
        vods=rest,
        channels=[
            channel_view(channel, counts.get(channel.id, 0))
            for channel in sorted(found, key=lambda channel: channel.id not in counts)
        ],
        channels_total=channels_total,
        on_air=[
            channel_view(live_channels[stream.channel_id], live=stream)
            for stream in on_air
            if stream.channel_id in live_channels
        ],
    )


@router.get("/vods/{vod_id}", response_class=HTMLResponse)
def watch(request: Request, vod_id: str) -> Response:
    """The player of one VOD, what is known of it, and more of its channel."""
    return watch_page(request, vod_id)


def watch_page(
    request: Request,
    vod_id: str,
    *,
    edit: dict[str, str] | None = None,
    captions_form: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """The same; `edit`, `captions_form`: what its owner wrote and could not be kept, with the
    `error`.
    """
    resources, visitor = resources_of(request), visitor_of(request)
    with resources.library.session() as session:
        vod = visible_vod(session, visitor, vod_id, in_the_making=True)
        channel = channels.get(session, vod.channel_id)
        if channel is None:
            raise not_found("VOD", vod_id)
        others, total = vods.list_channel_vods(session, vod.channel_id, 1, _RELATED + 1)
        more = [other for other in others if other.id != vod.id][:_RELATED]
        is_owner = owns(visitor, channel)
        own = {vod.id} if is_owner else set[str]()
        cards = load_views(session, [vod, *more], resources, visitor, own=own)
        runs = listings.run_spans(session, vod.id)
        captions = captions_views(
            session, vod, resources.tokens, visitor.user.id if visitor.user else None
        )
        is_following = visitor.user is not None and users.is_following(
            session, visitor.user.id, channel.id
        )
        policy = recording.policy_of(session, channel.id, resources.settings)
    shown = cards[0]
    written = edit or {
        **{"title": vod.title, "description": vod.description, "error": "", "error_field": ""},
        "is_public": "yes" if vod.is_public else "",
    }
    return draw(
        request,
        "vod.html",
        status=status,
        policy=PLAYER_POLICY,
        vod=shown,
        creator=channel_view(channel, total),
        related=cards[1:],
        audience=audience_of(resources.marts, vod, runs),
        resume_seconds=shown.seen.resume_seconds if shown.seen else None,
        is_following=is_following,
        is_owner=is_owner,
        can_delete=policy.is_user_delete_allowed,
        as_of_text=as_of_text(resources),
        edit=written,
        captions=captions,
        captions_form=captions_form
        or {"language": "", "label": "", "kind": "captions", "error": ""},
        languages=NAMES,
    )
