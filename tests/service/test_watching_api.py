"""Progress, history, likes and follows over the API: whose they are, and that repeating is safe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from aethex.library import Library, Vod, outbox, vods
from aethex.settings import Settings
from aethex.store import Store
from tests.service.conftest import Client
from tests.service.content import MadeVod, add_vod
from tests.service.people import Person, give_channel, person

PROGRESS, HISTORY = "/api/watch-progress", "/api/watch-history"
ROUTES = [
    ("POST", PROGRESS),
    ("GET", PROGRESS),
    ("GET", HISTORY),
    ("DELETE", f"{HISTORY}/vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"),
    ("POST", f"{HISTORY}/clear"),
    ("POST", f"{HISTORY}/restore"),
    ("POST", "/api/vods/vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA/like"),
    ("DELETE", "/api/vods/vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA/like"),
    ("POST", "/api/channels/ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC/follow"),
    ("DELETE", "/api/channels/ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC/follow"),
]
BODIES = {
    PROGRESS: {
        "vod_id": "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA",
        "position_seconds": 1,
        "client_at": "2026-01-01T00:00:00Z",
    },
    f"{HISTORY}/restore": {"removed_at": "2026-01-01T00:00:00Z"},
}


@pytest.fixture
def mika(library: Library, settings: Settings) -> Person:
    return person(library, settings, "mika")


@pytest.fixture
def other(library: Library, settings: Settings) -> Person:
    return person(library, settings, "other")


@pytest.fixture
def vod(library: Library, folder_store: Store) -> MadeVod:
    """One of an hour."""
    made = add_vod(library, folder_store)
    with library.session() as s:
        s.execute(update(Vod).values(duration_ms=3_600_000))
    return made


def ask(client: Client, who: Person, method: str, path: str, body: Any = None) -> httpx.Response:
    return client.request(method, path, json=body, headers=who.headers)


def tell(
    client: Client, who: Person, vod_id: str, seconds: float, at: datetime, **more: Any
) -> dict[str, Any]:
    body = {"vod_id": vod_id, "position_seconds": seconds, "client_at": at.isoformat(), **more}
    answer = ask(client, who, "POST", PROGRESS, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_nothing_of_it_works_without_signing_in(client: Client) -> None:
    for method, path in ROUTES:
        answer = client.request(method, path, json=BODIES.get(path))
        assert answer.status_code == 401, (method, path)
        assert answer.json()["type"] == "urn:aethex:problem:sign-in-required"


def test_nothing_of_it_works_from_a_page_of_another_site(client: Client, mika: Person) -> None:
    foreign = {"Cookie": mika.cookie, "Sec-Fetch-Site": "cross-site"}
    for method, path in ROUTES:
        if method != "GET":
            answer = client.request(method, path, json=BODIES.get(path), headers=foreign)
            assert answer.status_code == 403, (method, path)


def test_progress_is_kept_by_the_newest_moment_and_is_ones_own(
    client: Client, mika: Person, other: Person, vod: MadeVod
) -> None:
    now = datetime.now(UTC)
    first = tell(client, mika, vod.id, 754.2, now - timedelta(seconds=30))
    assert first["position_seconds"] == first["resume_seconds"] == 754.2
    assert (first["progress_ratio"], first["is_watched"]) == (0.2095, False)
    late = tell(client, mika, vod.id, 100, now - timedelta(seconds=60))
    assert late == first
    done = tell(client, mika, vod.id, 3_500, now - timedelta(seconds=10))
    assert (done["resume_seconds"], done["is_watched"]) == (None, True)
    mine = ask(client, mika, "GET", f"{PROGRESS}?vod_id={vod.id}").json()
    assert mine == {"items": [done], "page": 1, "pages": 1, "total": 1}
    assert ask(client, other, "GET", PROGRESS).json()["items"] == []


def test_a_wrong_clock_does_no_harm_when_it_says_when_it_sent(
    client: Client, mika: Person, vod: MadeVod
) -> None:
    now = datetime.now(UTC)
    wrong = now + timedelta(days=400)
    kept = tell(client, mika, vod.id, 60, wrong - timedelta(seconds=20), sent_at=wrong.isoformat())
    at = datetime.fromisoformat(kept["client_at"])
    assert abs(at - (now - timedelta(seconds=20))) < timedelta(seconds=10)
    ahead = tell(client, mika, vod.id, 70, wrong)
    assert datetime.fromisoformat(ahead["client_at"]) <= datetime.now(UTC)
    right = tell(client, mika, vod.id, 80, datetime.now(UTC))
    assert right["position_seconds"] == 80


def test_an_older_beat_that_was_longer_under_way_never_moves_it_back(
    client: Client, mika: Person, vod: MadeVod
) -> None:
    """As a player sends them: two requests, each with the moment of its sending."""
    now = datetime.now(UTC)
    older, newer = now - timedelta(seconds=12), now - timedelta(seconds=2)
    kept = tell(client, mika, vod.id, 110, newer, sent_at=newer.isoformat())
    assert tell(client, mika, vod.id, 100, older, sent_at=older.isoformat()) == kept


def test_a_clock_that_is_far_behind_does_no_harm_either(
    client: Client, mika: Person, vod: MadeVod
) -> None:
    tell(client, mika, vod.id, 60, datetime.now(UTC) - timedelta(minutes=5))
    behind = datetime.now(UTC) - timedelta(hours=3)
    kept = tell(client, mika, vod.id, 70, behind, sent_at=behind.isoformat())
    assert kept["position_seconds"] == 70


BAD_BEATS = [
    ({"position_seconds": -1}, "position_seconds"),
    ({"position_seconds": 1e12}, "position_seconds"),
    ({"position_seconds": "soon"}, "position_seconds"),
    ({"client_at": "yesterday"}, "client_at"),
    ({"client_at": "0001-01-01T00:00:00Z"}, "client_at"),
    ({"vod_id": "x" * 65}, "vod_id"),
    ({"sent_at": "9998-01-01T00:00:00Z", "client_at": "1970-01-01T00:00:00Z"}, "client_at"),
    ({"sent_at": "1970-01-01T00:00:00Z", "client_at": "9998-01-01T00:00:00Z"}, "client_at"),
]


def test_a_beat_that_cannot_be_names_the_field(client: Client, mika: Person) -> None:
    for change, field in BAD_BEATS:
        answer = ask(client, mika, "POST", PROGRESS, BODIES[PROGRESS] | change)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_progress_of_what_is_no_vod_is_an_empty_list(client: Client, mika: Person) -> None:
    for name in ("%00", "vod_%00", "nothing"):
        answer = ask(client, mika, "GET", f"{PROGRESS}?vod_id={name}")
        assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_what_others_cannot_see_cannot_be_watched_or_liked(
    client: Client, library: Library, mika: Person, vod: MadeVod
) -> None:
    with library.session() as s:
        vods.set_public(s, vod.id, False)
    body = BODIES[PROGRESS] | {"vod_id": vod.id}
    assert ask(client, mika, "POST", PROGRESS, body).status_code == 404
    assert ask(client, mika, "POST", f"/api/vods/{vod.id}/like").status_code == 404


def test_the_history_lists_removes_clears_and_undoes(
    client: Client, library: Library, folder_store: Store, mika: Person, other: Person, vod: MadeVod
) -> None:
    second = add_vod(library, folder_store, title="Day two")
    now = datetime.now(UTC)
    for who in (mika, other):
        tell(client, who, vod.id, 600, now - timedelta(minutes=5))
        tell(client, who, second.id, 4, now - timedelta(minutes=1))

    def titles(who: Person = mika) -> list[str]:
        listed = ask(client, who, "GET", f"{HISTORY}?per_page=5").json()
        return [item["vod"]["title"] for item in listed["items"]]

    assert titles() == ["Day two", "Day one"]
    item = ask(client, mika, "GET", HISTORY).json()["items"][1]
    assert (item["resume_seconds"], item["vod"]["id"]) == (600, vod.id)
    removed = ask(client, mika, "DELETE", f"{HISTORY}/{vod.id}").json()
    assert (removed["removed"], titles()) == (1, ["Day two"])
    assert ask(client, mika, "DELETE", f"{HISTORY}/{vod.id}").json()["removed"] == 0
    undo = {"removed_at": removed["removed_at"]}
    assert ask(client, other, "POST", f"{HISTORY}/restore", undo).json() == {"restored": 0}
    assert ask(client, mika, "POST", f"{HISTORY}/restore", undo).json() == {"restored": 1}
    cleared = ask(client, mika, "POST", f"{HISTORY}/clear").json()
    assert (cleared["removed"], titles(), titles(other)) == (2, [], ["Day two", "Day one"])
    undo = {"removed_at": cleared["removed_at"]}
    assert ask(client, mika, "POST", f"{HISTORY}/restore", undo).json() == {"restored": 2}
    assert titles() == ["Day two", "Day one"]


def test_a_private_vod_is_in_its_owners_history_and_in_nobody_elses(
    client: Client, library: Library, mika: Person, other: Person, vod: MadeVod
) -> None:
    tell(client, other, vod.id, 600, datetime.now(UTC))
    give_channel(library, "gdq", mika)
    with library.session() as s:
        vods.set_public(s, vod.id, False)
    kept = tell(client, mika, vod.id, 600, datetime.now(UTC))
    assert ask(client, mika, "GET", f"{PROGRESS}?vod_id={vod.id}").json()["items"] == [kept]
    [item] = ask(client, mika, "GET", HISTORY).json()["items"]
    media = client.get(item["vod"]["hls_url"], headers=mika.headers)
    assert (media.status_code, media.headers["cache-control"]) == (200, "private, no-store")
    for page in ("/history", "/"):
        assert f"/vods/{vod.id}" in mika.get(client, page).text
        assert f"/vods/{vod.id}" not in other.get(client, page).text
    assert ask(client, other, "GET", HISTORY).json()["total"] == 0


def test_liking_and_following_are_idempotent_and_told_to_the_lake_once(
    client: Client, library: Library, mika: Person, vod: MadeVod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aethex.service.outbox.OutboxDrain.drain", lambda _self: 0)
    like, follow = f"/api/vods/{vod.id}/like", f"/api/channels/{vod.channel_id}/follow"
    for method in ("POST", "POST", "DELETE", "DELETE"):
        liked = ask(client, mika, method, like).json()
        assert liked["is_liked"] is (method == "POST")
        assert (liked["likes"], liked["as_of"]) == (None, None), "counts are the marts'"
        assert ask(client, mika, method, follow).json()["is_following"] is (method == "POST")
    with library.session() as s:
        told = [(event.payload["action"], event.stream_id) for event in outbox.take(s, 10)]
    assert sorted(told) == [(action, None) for action in ("follow", "like", "unfollow", "unlike")]
    assert ask(client, mika, "POST", "/api/vods/vod_nope/like").status_code == 404
    assert ask(client, mika, "POST", "/api/channels/ch_nope/follow").status_code == 404
