"""Views and likes of VODs: sent by players and backends, seen in the API and on the pages."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from aethex.lake import Lake
from aethex.library import Library, tokens
from aethex.settings import Settings
from aethex.store import StoreUnreachable, open_store
from tests.service.conftest import Client
from tests.service.content import MadeVod, add_vod
from tests.service.measured import build
from tests.service.sending import Event, as_server, hours_ago, statuses, watched


def liked(vod: MadeVod, viewer_id: str, action: str = "like") -> Event:
    return {
        "kind": "engagement",
        "event_id": str(uuid4()),
        "client_at": hours_ago(0.1),
        "vod_id": vod.id,
        "viewer_id": viewer_id,
        "action": action,
    }


@pytest.fixture
def token(library: Library) -> str:
    with library.session() as s:
        return tokens.create(s, "backend", None)[1]


def test_views_and_likes_of_a_vod_are_those_of_the_build(
    client: Client, settings: Settings, lake: Lake, library: Library, token: str
) -> None:
    store = open_store(settings)
    seen, unseen = (add_vod(library, store, title=title) for title in ("Seen", "Unseen"))
    assert totals(client, seen) == (None, None), "no build: not measured"
    assert " views" not in client.get(f"/vods/{seen.id}").text

    events = [
        *watched(seen.id, "usr_1", 6_000, 0.1),
        *watched(seen.id, "usr_2", 6_000, 0.1),
        *watched(seen.id, "usr_3", 1_000, 0.1),
        *(liked(seen, f"usr_{n}") for n in (1, 2, 3)),
        liked(seen, "usr_3", "unlike"),
    ]
    assert set(statuses(as_server(client, token, events))) == {"accepted"}
    build(lake, library)
    newer = add_vod(library, store, title="Newer")

    assert totals(client, seen) == (2, 2)
    assert totals(client, unseen) == (0, 0)
    assert totals(client, newer) == (None, None), "newer than the build: not measured yet"
    listed = client.get(f"/api/channels/{seen.channel_id}/vods").json()["items"]
    assert {vod["title"]: (vod["views"], vod["likes"]) for vod in listed} == {
        "Seen": (2, 2),
        "Unseen": (0, 0),
        "Newer": (None, None),
    }
    page = client.get(f"/vods/{seen.id}").text
    assert "2 views · 2 likes" in page
    assert "<span>No views</span> <span><time" in page  # of the other one, beside it
    assert "<span>2 views</span> <span><time" in client.get("/channel/gdq/vods").text


def test_a_store_that_fails_hides_totals_only(
    client: Client,
    settings: Settings,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = add_vod(library, open_store(settings))

    def fail(*_: Any) -> None:
        raise StoreUnreachable("the store does not answer")

    monkeypatch.setattr("aethex.service.marts.Marts.current_or_none", fail)
    assert totals(client, made) == (None, None)
    assert client.get(f"/vods/{made.id}").status_code == 200
    assert "Views and likes could not be read" in caplog.text


def totals(client: Client, vod: MadeVod) -> tuple[int | None, int | None]:
    answer = client.get(f"/api/vods/{vod.id}").json()
    return answer["views"], answer["likes"]
