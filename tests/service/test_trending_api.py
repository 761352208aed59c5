"""`GET /api/trending/vods`: the list of the current build, as the API answers it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from aethex.lake import Lake
from aethex.lake.builds import publish_build
from aethex.lake.core import utc_now
from aethex.lake.due import due
from aethex.lake.models import load_models
from aethex.lake.runner import run_model
from aethex.library import Library, listings, tokens, vods
from aethex.settings import Settings
from aethex.store import open_store
from tests.service.conftest import Client
from tests.service.content import add_vod
from tests.service.measured import build
from tests.service.sending import as_server, statuses, watched


def test_what_trends_is_listed_with_its_hour_and_without_what_was_hidden_since(
    client: Client,
    settings: Settings,
    lake: Lake,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aethex.service.marts.POLL_SECONDS", 0)
    answer = client.get("/api/trending/vods")
    assert (answer.status_code, answer.json()["part"]) == (503, "build")

    store = open_store(settings)
    few, some, many = (
        add_vod(library, store, title=title, stream=title) for title in ("Few", "Some", "Many")
    )
    with library.session() as s:
        token = tokens.create(s, "backend", None)[1]
    events = [
        event
        for vod, viewers in ((few, 4), (some, 5), (many, 7))
        for n in range(viewers)
        for event in watched(vod.id, f"usr_{n}", 6_000, 1.1)
    ]
    assert set(statuses(as_server(client, token, events))) == {"accepted"}
    build(lake, library)
    assert client.get("/api/trending/vods").json()["items"] == [], "received in this hour"

    # the list of the next hour, as the refresh after it makes it
    hour_at = utc_now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    run_model(lake, load_models()["trending"], hour_at)
    publish_build(lake, replace(due(lake), fresh_until=hour_at))
    trends = client.get("/api/trending/vods").json()
    assert trends["as_of"] == hour_at.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    assert [vod["title"] for vod in trends["items"]] == ["Many", "Some"]
    assert (trends["page"], trends["pages"], trends["total"]) == (1, 1, 2)

    with library.session() as s:
        vods.set_public(s, many.id, False)
    assert [vod["title"] for vod in client.get("/api/trending/vods").json()["items"]] == ["Some"]


def test_listed_vods_come_in_the_order_asked_for(library: Library, settings: Settings) -> None:
    store = open_store(settings)
    made = [add_vod(library, store, title=str(n), is_public=n != 1) for n in range(3)]
    with library.session() as s:
        found = listings.listed_vods(s, [made[2].id, made[1].id, "vod_unknown", made[0].id])
        assert [vod.id for vod in found] == [made[2].id, made[0].id]
        assert listings.listed_vods(s, []) == []
