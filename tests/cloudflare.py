"""A local stand-in for Cloudflare Stream: `GET /<INPUT_ID>/views` answers `{"liveViewers": 113}`.

What belongs here: a real HTTP server on loopback that answers what a test says, when it says so.
What does not: what the platform makes of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Answer:
    """What an input's address answers. `after`: not before; `is_dropped`: nothing, it hangs up."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after: asyncio.Event | None = None
    is_dropped: bool = False


BAD_ANSWERS = {
    "an error of theirs": Answer(b'{"liveViewers":1}', 500),
    "an input that they do not know": Answer(b"not found", 404),
    "a redirect": Answer(b"", 302, {"Location": "/good/views"}),
    "no JSON": Answer(b"<html>"),
    "half of it": Answer(b'{"liveViewers":'),
    "nothing": Answer(b""),
    "a list": Answer(b"[1]"),
    "another field": Answer(b'{"viewers":1}'),
    "a text": Answer(b'{"liveViewers":"1"}'),
    "null": Answer(b'{"liveViewers":null}'),
    "a fraction": Answer(b'{"liveViewers":1.5}'),
    "less than nobody": Answer(b'{"liveViewers":-1}'),
    "more than a column holds": Answer(b'{"liveViewers":9223372036854775808}'),
    "a deep nest": Answer(b'{"liveViewers":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a hung-up line": Answer(b"", is_dropped=True),
}
"""What no count can be read from, by what it is."""


class Cloudflare:
    """The server: who has how many viewers, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        """Inputs, in the order in which they were asked for."""
        self.most_at_once = 0
        self._under_way = 0
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._changed = asyncio.Condition()

    def count(self, input_id: str, viewers: int, after: asyncio.Event | None = None) -> None:
        """From now on the input has so many viewers."""
        self.answers[input_id] = Answer(json.dumps({"liveViewers": viewers}).encode(), after=after)

    async def until_asked(self, times: int) -> None:
        """Return when it has been asked so many times."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.asked) >= times)

    async def until_left(self) -> None:
        """Return when nobody is waiting for an answer any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way == 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one side closes it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[writer] = task
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                if not await self._answer(path, reader, writer):
                    break
        writer.close()
        del self._connections[writer]

    async def hang_up(self) -> None:
        """Close what is still open."""
        for writer in self._connections:
            writer.close()
        await asyncio.gather(*self._connections.values())

    async def _answer(
        self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        input_id = path.removeprefix("/").removesuffix("/views")
        await self._count_under_way(1, asked=input_id)
        try:
            answer = self.answers.get(input_id, Answer(b"", 404))
            if answer.after is not None and not await _until(answer.after, reader):
                return False
            if answer.is_dropped:
                return False
            writer.write(_as_http(answer))
            await writer.drain()
            return True
        finally:
            await self._count_under_way(-1)

    async def _count_under_way(self, change: int, asked: str | None = None) -> None:
        async with self._changed:
            self._under_way += change
            self.most_at_once = max(self.most_at_once, self._under_way)
            if asked is not None:
                self.asked.append(asked)
            self._changed.notify_all()


@asynccontextmanager
async def cloudflare() -> AsyncIterator[Cloudflare]:
    """The running server."""
    stand_in = Cloudflare()
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0)
    stand_in.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stand_in
    finally:
        server.close()
        await stand_in.hang_up()


async def _until(event: asyncio.Event, reader: asyncio.StreamReader) -> bool:
    """Whether the event came before the other side went away."""
    came, gone = asyncio.create_task(event.wait()), asyncio.create_task(reader.read(1))
    done, _ = await asyncio.wait({came, gone}, return_when=asyncio.FIRST_COMPLETED)
    came.cancel()
    if not gone.cancel():
        return False
    with suppress(asyncio.CancelledError):
        await gone
    return came in done


def _as_http(answer: Answer) -> bytes:
    headers = {"Content-Type": "application/json", **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} It says", *(f"{k}: {v}" for k, v in headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(answer.body)}", "", ""])
    return head.encode() + answer.body
