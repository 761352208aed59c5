"""How events travel: clocks that are wrong, requests that are late, lost, repeated and doubled.

What belongs here: from what players and the platform's chat did to the requests that they send.
What does not: sending them (`send`).

A request names when it left by its sender's clock (`sent_at`) and when it came in by ours
(`received_at`), as a relay in front of the service would.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aethex.simulation.crowd import DAY_MS, MINUTE_MS, Crowd, Said, uuid
from aethex.simulation.player import PlayerEvent, Watch

FLUSH_MS = 180_000
"""How long a player's queue waits for more events."""

BACKEND_EVENTS = 200
BACKEND_MS = 10 * MINUTE_MS
"""How many events the backend sends at once, and how long the first of them waits."""

TAIL = timedelta(minutes=30)
"""How long after the end the last request comes in at the most: who was offline comes back."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One POST. received_ms: when it comes in; received_at, sent_at: as it says them."""

    received_ms: int
    received_at: str
    sent_at: str
    events: tuple[Event, ...]


def travel(crowd: Crowd) -> list[Request]:
    """All requests of a crowd, in the order in which they come in."""
    chance = random.Random(crowd.plan.seed ^ 0x5EED)
    requests = [
        request for watch in crowd.watches for request in _requests_of_player(watch, chance)
    ]
    requests += _requests_of_backend(crowd, chance)
    return sorted(requests, key=lambda request: (request.received_ms, request.sent_at))


def _requests_of_player(watch: Watch, chance: random.Random) -> Iterator[Request]:
    skew = _skew(chance)
    offline_until = 0
    queue: list[Event] = []
    for number, event in enumerate(watch.events):
        at = watch.start_ms + event.elapsed_ms
        queue.append(_playback(watch, number, event, at + skew, chance))
        is_last = number + 1 == len(watch.events)
        oldest = watch.start_ms + queue[0]["elapsed_ms"]
        if not is_last and (at - oldest < FLUSH_MS or at < offline_until):
            continue
        if chance.random() < 0.01 and not is_last:
            offline_until = at + chance.randint(MINUTE_MS, 20 * MINUTE_MS)
            continue
        if is_last:
            at = max(at, offline_until)
        yield from _tries(at, skew, tuple(queue), chance)
        queue = []
        if chance.random() < 0.004:
            skew = _skew(chance)  # the clock was set, while nothing waited


def _tries(
    at_ms: int, skew_ms: int, events: tuple[Event, ...], chance: random.Random
) -> Iterator[Request]:
    """A batch on its way: what is lost, or whose answer is lost, is sent again."""
    if chance.random() < 0.01 and len(events) > 1:
        events = (*events, events[0])
    while True:
        arrived = at_ms + _delay(chance)
        fate = chance.random()
        if fate < 0.02:  # the request is lost
            at_ms = arrived + chance.randint(1_000, 60_000)
            continue
        yield Request(arrived, iso(arrived), iso(at_ms + skew_ms), events)
        if fate >= 0.05:  # else the answer is lost
            return
        at_ms = arrived + chance.randint(1_000, 60_000)


def _requests_of_backend(crowd: Crowd, chance: random.Random) -> Iterator[Request]:
    """Chat, follows and likes, some minutes of them in a request; the backend's clock is right."""
    waiting: list[Event] = []
    oldest_ms = 0
    for said in sorted(crowd.said, key=lambda said: said.at_ms):
        if len(waiting) == BACKEND_EVENTS or (waiting and said.at_ms - oldest_ms > BACKEND_MS):
            at_ms = min(said.at_ms, oldest_ms + BACKEND_MS)
            yield from _tries(at_ms, 0, tuple(waiting), chance)
            waiting = []
        if not waiting:
            oldest_ms = said.at_ms
        waiting.append(_told(said, crowd.plan.channel_id))
    if waiting:
        yield from _tries(oldest_ms + BACKEND_MS, 0, tuple(waiting), chance)


def _skew(chance: random.Random) -> int:
    """How wrong a clock is, in ms: most by a second or two, some by minutes, a few by days."""
    what = chance.random()
    if what < 0.8:
        return int(chance.gauss(0, 1_500))
    if what < 0.95:
        return int(chance.gauss(0, 10 * MINUTE_MS))
    return int(chance.uniform(-40, 40) * DAY_MS)


def _delay(chance: random.Random) -> int:
    """Under way, in ms."""
    return 15 + int(chance.expovariate(1 / 60))


def _playback(
    watch: Watch, number: int, event: PlayerEvent, client_ms: int, chance: random.Random
) -> Event:
    content = {f"{watch.content.kind}_id": watch.content.id}
    told: Event = {
        "kind": "playback",
        "event_id": uuid(chance),
        "client_at": iso(client_ms),
        **content,
        "session_id": watch.session_id,
        "type": event.type,
        "sequence": number,
        "elapsed_ms": event.elapsed_ms,
        "position_ms": event.position_ms,
        "rate": event.rate,
        "is_paused": event.is_paused,
        "stalls": event.stalls,
        "stalled_ms": event.stalled_ms,
    }
    optional = {
        "viewer_id": watch.viewer_id,
        "from_position_ms": event.from_position_ms,
        "user_agent": watch.user_agent,
    }
    return told | {name: value for name, value in optional.items() if value is not None}


def _told(said: Said, channel_id: str) -> Event:
    told: Event = {
        "kind": said.kind,
        "event_id": said.event_id,
        "client_at": iso(said.at_ms),
        "channel_id": channel_id,
        "viewer_id": said.viewer_id,
    }
    if said.content is not None:
        told[f"{said.content.kind}_id"] = said.content.id
    optional = {"characters": said.characters, "action": said.action}
    return told | {name: value for name, value in optional.items() if value is not None}


def iso(ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def distinct(requests: Iterable[Request]) -> set[str]:
    """The ids of all events in the requests."""
    return {event["event_id"] for request in requests for event in request.events}
