"""What several webhooks told of one recording says together.

What belongs here: pure functions over what was told. What does not: the rows (`inbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aethex.library import WebhookEvent
from aethex.providers import VIDEO_MARK, Recording

Told = tuple[WebhookEvent, Recording]

_STATES = ("pending", "failed", "ready")
_UNSAID = timedelta(seconds=10)
"""A recording whose length nobody says was finished when it was told of, so it ran before that."""

_FIELDS = (
    "hls_url",
    "mp4_url",
    "path",
    "is_signed",
    "is_to_look_up",
    "duration_seconds",
    "size_bytes",
    "started_at",
)


def of_one_video(
    told: Sequence[Told], event: WebhookEvent, input_id: str
) -> tuple[list[Told], str]:
    """What was told of the video that the event is of, and an id for it, where each video of an
    input is told by the input's id: only when it began tells them apart.
    """
    began_at = next(one.started_at for row, one in told if row.id == event.id)
    its = [(row, one) for row, one in told if one.started_at == began_at]
    return its, f"{input_id}{VIDEO_MARK}{began_at.isoformat()}" if began_at else input_id


def folded(told: Sequence[Told]) -> dict[str, Any]:
    """What all that was told of a recording, in the order of its happening, says together: of each
    field the newest that says something; ready wins over failed, and both over pending.
    """
    values: dict[str, Any] = {"is_signed": False, "is_to_look_up": False}
    details: dict[str, Any] = {}
    for _, one in told:
        fields: Mapping[str, Any] = {name: getattr(one, name) for name in _FIELDS}
        values |= {name: value for name, value in fields.items() if value is not None}
        details |= one.details
    last = told[-1][0]
    if "started_at" not in values:
        ran = (
            timedelta(seconds=values["duration_seconds"]) if "duration_seconds" in values else None
        )
        values["started_at"] = last.at - (ran or _UNSAID)
    state = max((one.state for _, one in told), key=_STATES.index)
    return {
        **dict.fromkeys(_FIELDS),
        **values,
        "details": details,
        "state": state,
        "told_at": last.at,
    }
