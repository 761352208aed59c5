"""Sending requests to a service, in the time of the simulation or faster.

What belongs here: HTTP, pacing, and trying again as a player does. What does not: what is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from aethex.simulation.network import Request

SENDERS = 48
ATTEMPTS = 60
PAUSE_SECONDS = 0.5


class NotTaken(Exception):
    """The service took a request for good no more: it refused it, or did not answer. One line."""


@dataclass
class Sent:
    """What became of everything: requests, and events by their status in the answers."""

    requests: int = 0
    tries: int = 0
    events: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])


async def send_all(
    url: str,
    token: str,
    requests: Sequence[Request],
    *,
    speed: float | None,
    progress: Callable[[int], None] = lambda _: None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Sent:
    """Send all requests in their order; `progress` hears how many are done.

    speed: how much faster than in the simulation; None: as fast as it goes. transport: how requests
    get there, over the network by default. Raises NotTaken for a
    request that is refused, or not answered for half a minute.
    """
    sent = Sent()
    first_ms = requests[0].received_ms if requests else 0
    started = time.monotonic()
    waiting = iter(requests)
    limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        limits=limits,
        timeout=30,
        trust_env=False,
        transport=transport,
    ) as http:

        async def sender() -> None:
            for request in waiting:
                if speed is not None:
                    due = started + (request.received_ms - first_ms) / 1000 / speed
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                await _send(http, request, sent)
                sent.requests += 1
                progress(sent.requests)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(SENDERS, len(requests))):
                    group.create_task(sender())
        except* NotTaken as several:
            raise several.exceptions[0] from None
    return sent


async def _send(http: httpx.AsyncClient, request: Request, sent: Sent) -> None:
    parameters = {"sent_at": request.sent_at, "received_at": request.received_at}
    problem = "no answer"
    for _ in range(ATTEMPTS):
        sent.tries += 1
        try:
            answer = await http.post("/api/events", params=parameters, json=request.events)
        except httpx.TransportError as error:
            problem = repr(error)
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        if answer.status_code == httpx.codes.OK:
            for result in answer.json()["results"]:
                sent.events[result["status"]] += 1
                if "reason" in result:
                    sent.reasons[f"{result.get('field')}: {result['reason']}"] += 1
            return
        problem = f"{answer.status_code}: {answer.json().get('detail', '')}"
        if answer.status_code not in (429, 503):
            break
        await asyncio.sleep(float(answer.headers.get("retry-after", PAUSE_SECONDS)))
    raise NotTaken(f"{http.base_url} did not take a batch of events ({problem}).")
