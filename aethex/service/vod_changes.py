"""What owners do with their VODs: edit, delete, restore. The API and the pages do it alike.

What belongs here: who may, the change, and the note of it. What does not: HTTP bodies and forms.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request

from aethex.library import InvalidValue, Vod, audit, recording, vods
from aethex.service.identity import actor_of, required_user
from aethex.service.problems import Problem, bad_field
from aethex.service.resources import resources_of
from aethex.service.vod_access import own_vod


def edit_vod(
    request: Request,
    vod_id: str,
    *,
    title: str | None = None,
    description: str | None = None,
    is_public: bool | None = None,
) -> Vod:
    """Change what is given. Raises Problem: 401, 403, 404, or 422 for a text that cannot be one."""
    required_user(request)
    with resources_of(request).library.session() as session:
        before = _fields(own_vod(request, session, vod_id))
        try:
            vod = vods.edit(
                session, vod_id, title=title, description=description, is_public=is_public
            )
        except InvalidValue as error:
            field = "title" if str(error).startswith("The title") else "description"
            raise bad_field(field, str(error), "Give another text.") from None
        after = _fields(vod)
        changed = {
            name: [before[name], after[name]] for name in after if before[name] != after[name]
        }
        if changed:
            audit.record(session, actor_of(request), "vod.change", vod_id, **changed)
        return vod


def delete_vod(request: Request, vod_id: str) -> Vod:
    """Hide it from everybody, until it is restored or its time to undo is over.

    Raises Problem: 401, 404, or 403, also where the channel's owner may not delete.
    """
    required_user(request)
    resources = resources_of(request)
    with resources.library.session() as session:
        vod = own_vod(request, session, vod_id)
        policy = recording.policy_of(session, vod.channel_id, resources.settings)
        if not policy.is_user_delete_allowed:
            raise Problem(
                403,
                "VODs of this channel are not deleted by hand: make it private instead.",
                kind="delete-not-allowed",
            )
        now = datetime.now(UTC)
        if vods.mark_deleted(session, vod_id, now).deleted_at == now:  # and not before
            audit.record(session, actor_of(request), "vod.delete", vod_id)
        return vod


def restore_vod(request: Request, vod_id: str) -> Vod:
    """Show it again. Raises Problem: 401, 403, 404, or 409 when its objects are going already."""
    required_user(request)
    with resources_of(request).library.session() as session:
        own_vod(request, session, vod_id)
        now = datetime.now(UTC)
        try:
            vod = vods.restore(session, vod_id, now)
        except InvalidValue as error:
            raise Problem(409, str(error), kind="too-late") from None
        if vod.restored_at == now:  # and not before
            audit.record(session, actor_of(request), "vod.restore", vod_id)
        return vod


def _fields(vod: Vod) -> dict[str, str | bool]:
    return {"title": vod.title, "description": vod.description, "is_public": vod.is_public}
