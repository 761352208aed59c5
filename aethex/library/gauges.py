"""Queries about how much there is of everything, for those who watch the platform.

What belongs here: one cheap query of counts. What does not: what is shown of them (the service's
metrics), numbers of viewers (the lake).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

_LIMIT = text("set local statement_timeout = '2s'")
_COUNTS = text(
    """
    select 'jobs', kind, state, count(*)::float8 from jobs group by kind, state
    union all
    select 'oldest_queued_seconds', kind, null, extract(epoch from now() - min(run_after))::float8
    from jobs where state = 'queued' and run_after <= now() group by kind
    union all
    select 'vods', status, null, count(*) from vods where deleted_at is null group by status
    union all
    select 'vods', 'deleted', null, count(*) from vods where deleted_at is not null
    union all
    select 'webhooks_waiting', null, null, count(*) from webhook_events where state = 'waiting'
    union all
    select 'live_streams', null, null, count(*) from streams where status = 'live'
    union all
    select 'open_captures', null, null, count(*) from captures where finished_at is null
    """
)


@dataclass
class Gauges:
    """What there is now."""

    jobs: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """By kind and state."""
    oldest_queued_seconds: dict[str, float] = field(default_factory=dict[str, float])
    """By kind: how long the job waits that could have been taken up first; none waits where it is
    missing.
    """
    vods: dict[str, int] = field(default_factory=dict[str, int])
    """By status; `deleted` are those that are hidden until they are purged, whatever theirs is."""
    webhooks_waiting: int = 0
    live_streams: int = 0
    open_captures: int = 0
    """Recordings that grow, or wait for being finished."""


def gauges(s: Session) -> Gauges:
    """All of it, by one query over indexes that is given up after two seconds.

    Raises OperationalError then, and DatabaseUnreachable.
    """
    s.execute(_LIMIT)
    found = Gauges()
    for what, label, state, value in s.execute(_COUNTS):
        match what:
            case "jobs":
                found.jobs[label, state] = int(value)
            case "oldest_queued_seconds":
                found.oldest_queued_seconds[label] = value
            case "vods":
                found.vods[label] = int(value)
            case _:
                setattr(found, what, int(value))
    return found
