"""`/api/channels…` and `/api/vods…`: lists, single things, and errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from aethex.library import Library, channels, vods
from aethex.store import Store
from tests.service.conftest import Client
from tests.service.content import AT, add_vod

VOD_FIELDS = (
    "id, stream_id, channel_id, title, description, poster_url, hls_url, mp4_url, "
    "storyboard_url, preview_url, loudness_url, duration_seconds, size_bytes, width, height, "
    "views, likes, clips, is_public, deleted_at, created_at"
)


def test_a_vod_has_exactly_the_promised_shape(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store, created_at=AT)
    body = client.get(f"/api/vods/{made.id}").json()
    assert ", ".join(body) == f"{VOD_FIELDS}, captions"
    assert (body["id"], body["stream_id"], body["channel_id"]) == (
        made.id,
        made.stream_id,
        made.channel_id,
    )
    assert (body["duration_seconds"], body["width"], body["height"]) == (8.0, 1280, 720)
    assert body["created_at"] == "2026-01-05T16:25:00Z"
    assert body["hls_url"].startswith("http://localhost:8000/media/")
    assert (body["views"], body["likes"], body["clips"], body["deleted_at"]) == (None,) * 4


def test_what_was_made_from_a_vod_has_addresses_and_types_once_it_is_entered(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store)
    names = {
        "storyboard_url": ("storyboard.vtt", "text/vtt; charset=utf-8"),
        "preview_url": ("preview.webp", "image/webp"),
        "loudness_url": ("loudness.json", "application/json"),
    }
    before = client.get(f"/api/vods/{made.id}").json()
    assert [before[field] for field in names] == [None, None, None]
    keys = [f"{made.prefix}{made.id}/{name}" for name, _ in names.values()]
    for key in keys:
        folder_store.put(key, b"made")
    with library.session() as s:
        vods.set_derived(s, made.id, vods.DerivedObjects(*keys, derived_bytes=12))
    body = client.get(f"/api/vods/{made.id}").json()
    assert body["size_bytes"] == before["size_bytes"] + 12
    for field, (name, content_type) in names.items():
        assert body[field].endswith(f"/{made.id}/{name}")
        answer = client.get(urlsplit(body[field]).path)
        assert (answer.content, answer.headers["content-type"]) == (b"made", content_type)


def test_a_vod_without_a_poster_has_no_address_of_one(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store, has_poster=False)
    assert client.get(f"/api/vods/{made.id}").json()["poster_url"] is None


@pytest.mark.parametrize(
    "vod_id", ["nope", "vod_", "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA", "%00", "%F0%9F%92%A9"]
)
def test_an_unknown_vod_is_named(client: Client, vod_id: str) -> None:
    answer = client.get(f"/api/vods/{vod_id}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:aethex:problem:not-found"
    if "%" not in vod_id:
        assert vod_id in answer.json()["detail"]


def test_private_and_deleted_vods_are_as_if_they_were_not_there(
    client: Client, library: Library, folder_store: Store
) -> None:
    private = add_vod(library, folder_store, title="Private", is_public=False)
    deleted = add_vod(library, folder_store, title="Deleted")
    with library.session() as session:
        vods.mark_deleted(session, deleted.id, datetime.now(UTC))
    assert client.get(f"/api/vods/{private.id}").status_code == 404
    assert client.get(f"/api/vods/{deleted.id}").status_code == 404
    listed = client.get(f"/api/channels/{private.channel_id}/vods").json()
    assert listed == {"items": [], "page": 1, "pages": 0, "total": 0}


def test_a_channels_vods_come_newest_first_in_pages(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = [
        add_vod(library, folder_store, title=f"Day {n}", created_at=AT + timedelta(days=n))
        for n in range(5)
    ]
    path = f"/api/channels/{made[0].channel_id}/vods"
    first = client.get(path, params={"per_page": 2}).json()
    assert [item["title"] for item in first["items"]] == ["Day 4", "Day 3"]
    assert (first["page"], first["pages"], first["total"]) == (1, 3, 5)
    last = client.get(path, params={"per_page": 2, "page": 3}).json()
    assert [item["title"] for item in last["items"]] == ["Day 0"]
    behind = client.get(path, params={"per_page": 2, "page": 9}).json()
    assert (behind["items"], behind["total"]) == ([], 5)


def test_channels_say_how_many_vods_can_be_watched(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store, username="gdq", channel_title="Games Done Quick")
    add_vod(library, folder_store, username="gdq", title="Private", is_public=False)
    with library.session() as session:
        channels.ensure_channel(session, "empty", "Nothing yet")
    listed = client.get("/api/channels").json()
    assert [(c["username"], c["vods"]) for c in listed["items"]] == [("empty", 0), ("gdq", 1)]
    one = client.get(f"/api/channels/{made.channel_id}").json()
    assert one == listed["items"][1]
    assert ", ".join(one) == "id, username, title, description, vods, created_at"


def test_an_unknown_channel_is_named(client: Client) -> None:
    for path in ("/api/channels/ch_nope", "/api/channels/ch_nope/vods"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "ch_nope" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ({"page": "0"}, "Give at least 1."),
        ({"page": "-1"}, "Give at least 1."),
        ({"page": "99999999999999999999"}, "Give at most 1000000."),
        ({"page": "two"}, "Give a whole number."),
        ({"per_page": "0"}, "Give at least 1."),
        ({"per_page": "101"}, "Give at most 100."),
    ],
)
def test_a_page_that_cannot_be_is_named_with_a_remedy(
    client: Client, params: dict[str, str], remedy: str
) -> None:
    answer = client.get("/api/channels", params=params)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert ([error["field"]], error["remedy"]) == (list(params), remedy)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_method_that_is_not_taken_is_a_problem_that_says_which_is(
    client: Client, method: str
) -> None:
    answer = client.request(method, "/api/channels")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert "GET" in answer.headers["allow"]
    assert "GET" in answer.json()["detail"]


def test_an_address_without_anything_is_a_problem_for_programs(client: Client) -> None:
    answer = client.get("/api/nothing", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_long_answers_are_compressed(client: Client, library: Library, folder_store: Store) -> None:
    add_vod(library, folder_store, description="long " * 400)
    channel_id = client.get("/api/channels").json()["items"][0]["id"]
    answer = client.get(f"/api/channels/{channel_id}/vods")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["total"] == 1


def test_no_json_can_fill_the_memory(client: Client) -> None:
    """Also of nobody who is signed in, and without a length."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"vod_id": "'
        while sent < 64:
            sent += 1
            yield b"x" * 65_536

    answer = client.request("POST", "/api/watch-progress", content=endless())
    assert (answer.status_code, sent) == (413, 2)
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_no_json_is_said_so(client: Client) -> None:
    answer = client.request(
        "POST",
        "/api/watch-progress",
        content=b'{"vod_id": ',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"
