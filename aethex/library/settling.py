"""Ending the streams whose reconnect window is over: the service and the recorder both do it.

What belongs here: one transaction a stream, so that one that cannot be ended holds up no other.
What does not: which are over, and what ending means (`live`).
"""

from __future__ import annotations

import logging
from datetime import datetime

from aethex.library import live, provider_recordings
from aethex.library.database import Library
from aethex.library.models import Stream
from aethex.postgres import DatabaseUnreachable

_log = logging.getLogger(__name__)


def end_due(library: Library, now: datetime) -> list[Stream]:
    """End the streams whose window is over, and look again for the streams of their recordings;
    those that just ended. One that cannot be ended is logged and waits for the next time.

    Raises DatabaseUnreachable.
    """
    with library.session() as s:
        input_ids = live.due(s, now)
    ended: list[Stream] = []
    for input_id in input_ids:
        try:
            ended += _end(library, input_id, now)
        except DatabaseUnreachable:
            raise
        except Exception as error:
            _log.warning("The stream of input %s is not ended: %s", input_id, error)
    return ended


def _end(library: Library, input_id: str, now: datetime) -> list[Stream]:
    with library.session() as s:
        ended = live.settle(s, input_id, now)
        for stream in ended:
            if stream.ended_at is not None:
                provider_recordings.link(s, input_id, stream.ended_at)
    return ended
