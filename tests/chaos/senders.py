"""Senders that never give up, and remember what they were told.

What belongs here: sending, and the answers. What does not: what is broken meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx

BATCH = 20
FLOOD = 900  # events of a batch of the flood
PATIENCE_SECONDS = 120.0

Event = dict[str, Any]


class Senders:
    """Sends batches of good events with one bad one each, again and again until they are decided.

    accepted, rejected: ids of events that were acknowledged as such; sent: all that ever left.
    """

    def __init__(self, url: str, token: str, stream_id: str) -> None:
        self.accepted: set[str] = set()
        self.rejected: set[str] = set()
        self.sent: set[str] = set()
        self.answers: Counter[str] = Counter()
        self._url = url
        self._token = token
        self._stream_id = stream_id
        self._changed = threading.Condition()
        self._is_stopping = threading.Event()

    @contextmanager
    def running(self, count: int) -> Iterator[None]:
        """Send while the block lasts; afterwards every batch that was begun is decided."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run(count)))
        thread.start()
        try:
            yield
        finally:
            self._is_stopping.set()
            thread.join()

    def wait_for_more(self, events: int) -> None:
        """Return once so many more events were acknowledged."""
        with self._changed:
            wanted = len(self.accepted) + events
            is_there = self._changed.wait_for(
                lambda: len(self.accepted) >= wanted, PATIENCE_SECONDS
            )
        assert is_there, f"nothing more was taken: {self.answers}"

    def flood(self, batches: int) -> None:
        """Send so many large batches at once; return when all are decided."""
        asyncio.run(self._flood(batches))

    async def _run(self, count: int) -> None:
        async with self._client() as http:

            async def one() -> None:
                while not self._is_stopping.is_set():
                    await self._until_decided(http, self._batch(BATCH))

            await asyncio.gather(*(one() for _ in range(count)))

    async def _flood(self, batches: int) -> None:
        async with self._client() as http:
            await asyncio.gather(
                *(self._until_decided(http, self._batch(FLOOD)) for _ in range(batches))
            )

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
            trust_env=False,
        )

    def _batch(self, size: int) -> list[Event]:
        """Good chat messages, and one without a stream."""
        events = [self._chat(stream_id=self._stream_id) for _ in range(size - 1)]
        events.insert(size // 2, self._chat())
        return events

    def _chat(self, **ids: str) -> Event:
        return {
            "kind": "chat",
            "event_id": str(uuid4()),
            "client_at": datetime.now(UTC).isoformat(),
            "viewer_id": "usr_1",
            **ids,
        }

    async def _until_decided(self, http: httpx.AsyncClient, batch: list[Event]) -> None:
        self.sent.update(event["event_id"] for event in batch)
        while True:
            try:
                answer = await http.post("/api/events", json=batch)
            except httpx.TransportError:
                self.answers["broken"] += 1
                await asyncio.sleep(0.1)
                continue
            self.answers[str(answer.status_code)] += 1
            if answer.status_code == 200:
                self._remember(answer.json()["results"])
                return
            assert answer.status_code in (429, 503), answer.text
            await asyncio.sleep(0.1)

    def _remember(self, results: list[dict[str, Any]]) -> None:
        with self._changed:
            for result in results:
                taken = self.accepted if result["status"] == "accepted" else self.rejected
                taken.add(result["event_id"])
            self._changed.notify_all()
