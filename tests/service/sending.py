"""Sending events to the service in tests, and reading back what landed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from aethex.library import Channel, Library, channels, new_id, streams, tokens
from aethex.store import Store

if TYPE_CHECKING:
    from tests.service.conftest import Client

Event = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A channel with a stream, and tokens for it and for the whole platform."""

    channel_id: str
    stream_id: str
    token: str
    platform_token: str

    def beat(self, **changes: Any) -> Event:
        """A good beat of a player on the stream; None takes a field out."""
        return changed(
            {
                "kind": "playback",
                "event_id": str(uuid4()),
                "client_at": iso(datetime.now(UTC)),
                "stream_id": self.stream_id,
                "session_id": "session-1",
                "type": "beat",
                "sequence": 1,
                "elapsed_ms": 15_000,
                "position_ms": 15_000,
                "is_paused": False,
            },
            changes,
        )

    def chat(self, **changes: Any) -> Event:
        """A good chat message."""
        return changed(
            {
                "kind": "chat",
                "event_id": str(uuid4()),
                "client_at": iso(datetime.now(UTC)),
                "stream_id": self.stream_id,
                "viewer_id": "usr_1",
                "characters": 12,
            },
            changes,
        )


def add_place(library: Library, username: str = "gdq") -> Place:
    """Such a channel."""
    with library.session() as s:
        channel: Channel = channels.ensure_channel(s, username)
        stream = streams.ensure_stream(s, channel, f"A stream {new_id('st')}")
        _, mine = tokens.create(s, "the channel's", channel.id)
        _, platform = tokens.create(s, "the platform's", None)
    return Place(channel.id, stream.id, mine, platform)


def watched(vod_id: str, viewer_id: str, milliseconds: int, hours: float) -> list[Event]:
    """A session of so long from a VOD's start, so many hours ago; as a server tells it."""
    common: Event = {
        "kind": "playback",
        "client_at": hours_ago(hours),
        "vod_id": vod_id,
        "viewer_id": viewer_id,
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "session_id": str(uuid4()),
    }
    return [
        common
        | {"event_id": str(uuid4()), "type": kind, "sequence": n}
        | {"elapsed_ms": at, "position_ms": at, "is_paused": False}
        for n, (kind, at) in enumerate([("start", 0), ("beat", milliseconds)])
    ]


def changed(event: Event, changes: dict[str, Any]) -> Event:
    return {name: value for name, value in {**event, **changes}.items() if value is not None}


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def as_player(client: Client, body: Any, **options: Any) -> httpx.Response:
    """Send as a player does, its clock being right."""
    return send(client, body, sent_at=iso(datetime.now(UTC)), **options)


def as_server(client: Client, token: str, body: Any, **options: Any) -> httpx.Response:
    """Send as a backend does."""
    return send(client, body, headers={"Authorization": f"Bearer {token}"}, **options)


def send(
    client: Client,
    body: Any,
    *,
    headers: dict[str, str] | None = None,
    cookies: dict[str, str] | None = None,
    **parameters: str,
) -> httpx.Response:
    """POST: events as JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request(
        "POST",
        "/api/events",
        params=parameters,
        content=content,
        headers={
            "Content-Type": "application/json",
            **(headers or {}),
            **({"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())} if cookies else {}),
        },
    )


def viewer_cookie(client: Client, **headers: str) -> str | None:
    """The signed id that the service gives a browser; None where it wishes not to be tracked."""
    answer = client.request("POST", "/api/viewer", headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"viewer": None}
    return answer.cookies.get("aethex_viewer")


def statuses(answer: httpx.Response) -> list[str]:
    """What became of each event."""
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


def refusals(answer: httpx.Response) -> list[tuple[str | None, str]]:
    """(field, reason) of the refused ones."""
    results = answer.json()["results"]
    return [(r.get("field"), r["reason"]) for r in results if r["status"] == "rejected"]


def landed(store: Store, prefix: str = "landing") -> list[dict[str, Any]]:
    """All rows that landed, the payload read."""
    return [row for info in store.list(prefix) for row in landed_in(store, info.key)]


def landed_in(store: Store, key: str) -> list[dict[str, Any]]:
    """The rows of one object, the payload read."""
    rows = _rows(store.get(key))
    for row in rows:
        if "payload" in row:
            row["payload"] = json.loads(row["payload"])
    return rows


def quarantined(store: Store) -> list[dict[str, Any]]:
    """All events in quarantine."""
    return landed(store, "quarantine")


def ids(events: Iterable[Event]) -> set[str]:
    return {event["event_id"] for event in events}


def hours_ago(hours: float) -> str:
    return iso(datetime.now(UTC) - timedelta(hours=hours))


def _rows(data: bytes) -> list[dict[str, Any]]:
    return pq.read_table(pa.BufferReader(data)).to_pylist()
