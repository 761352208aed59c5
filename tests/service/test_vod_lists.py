"""A channel's VODs over the API and on its page: orders, words, dates, and what owners do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from aethex.lake import Lake
from aethex.library import Library, audit, recording, tokens, vods
from aethex.settings import Settings
from aethex.store import Store, open_store
from tests.service.conftest import Client
from tests.service.content import AT, MadeVod, add_vod
from tests.service.measured import build
from tests.service.people import Person, give_channel, person
from tests.service.sending import as_server, statuses, watched

DAY = timedelta(days=1)


@pytest.fixture
def owner(library: Library, settings: Settings) -> Person:
    """Who owns @gdq."""
    owner = person(library, settings, "owner")
    give_channel(library, "gdq", owner)
    return owner


@pytest.fixture
def other(library: Library, settings: Settings) -> Person:
    return person(library, settings, "other")


def titles(client: Client, channel_id: str, who: Person | None = None, **params: Any) -> list[str]:
    headers = {"Cookie": who.cookie} if who else {}
    answer = client.get(f"/api/channels/{channel_id}/vods", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


def put(client: Client, who: Person, vod: MadeVod, **changes: Any) -> httpx.Response:
    return client.request("PUT", f"/api/vods/{vod.id}", json=changes, headers=who.headers)


def test_twelve_a_page_by_words_and_dates(
    client: Client, library: Library, folder_store: Store
) -> None:
    for n in range(13):
        made = add_vod(
            library,
            folder_store,
            title=f"Day {n}",
            started_at=AT + n * DAY,
            created_at=AT + n * DAY,
        )
    assert len(titles(client, made.channel_id)) == 12
    assert titles(client, made.channel_id, page=2) == ["Day 0"]
    assert titles(client, made.channel_id, q="day 1") == ["Day 12", "Day 11", "Day 10", "Day 1"]
    range_: dict[str, Any] = {"from": "2026-01-08", "to": "2026-01-10"}
    assert titles(client, made.channel_id, **range_) == ["Day 4", "Day 3"]
    assert titles(client, made.channel_id, q="4", **range_) == ["Day 4"]
    answer = client.get(f"/api/channels/{made.channel_id}/vods?from=2026-01-08&to=2026-01-08")
    assert answer.status_code == 422
    page = client.get("/channel/gdq/vods?from=2026-01-08&to=2026-01-09&q=day").text
    assert set(re.findall(r">(Day \d+)</a>", page)) == {"Day 3", "Day 4"}, "both days included"
    assert "2 VODs for “day”, 8 Jan 2026 – 9 Jan 2026" in page
    empty = client.get("/channel/gdq/vods?q=nothing").text
    assert "Nothing found" in empty
    assert client.get("/channel/gdq/vods?q=%00'%22:*&from=soon&sort=x&view=y").status_code == 200


def test_the_most_watched_come_first_and_nothing_is_offered_that_is_not_measured(
    client: Client, settings: Settings, lake: Lake, library: Library
) -> None:
    store = open_store(settings)
    made = [add_vod(library, store, title=f"V{n}", created_at=AT + n * DAY) for n in range(4)]
    channel_id = made[0].channel_id
    unmeasured = client.get(f"/api/channels/{channel_id}/vods?sort=most_watched")
    assert unmeasured.status_code == 422
    assert unmeasured.json()["errors"][0]["remedy"] == "Use one of newest."
    page = client.get("/channel/gdq/vods?sort=most_watched").text
    assert "not measured yet" in page
    assert "Most watched" not in page

    with library.session() as s:
        token = tokens.create(s, "backend", None)[1]
    events = [*watched(made[1].id, "usr_1", 30_000, 0.1)]
    for n in (2, 3, 4):  # more views, but watched for less time
        events += watched(made[0].id, f"usr_{n}", 7_000, 0.1)
    assert set(statuses(as_server(client, token, events))) == {"accepted"}
    build(lake, library)
    add_vod(library, store, title="newer", created_at=AT + 9 * DAY)
    order = ["V1", "V0", "newer", "V3", "V2"]
    assert titles(client, channel_id, sort="most_watched") == order
    paged: list[str] = []
    for n in (1, 2, 3):
        paged += titles(client, channel_id, sort="most_watched", per_page=2, page=n)
    assert paged == order
    assert titles(client, channel_id, sort="most_watched", q="v") == ["V1", "V0", "V3", "V2"]
    page = client.get("/channel/gdq/vods?sort=most_watched").text
    assert "Most watched" in page
    assert "Views and likes as of" in page
    trending = client.get(f"/api/channels/{channel_id}/vods?sort=trending")
    assert trending.json()["errors"][0]["remedy"] == "Use one of newest, most_watched."
    assert "Trending" not in page


def test_only_the_owner_changes_a_vod(
    client: Client, library: Library, folder_store: Store, owner: Person, other: Person
) -> None:
    made = add_vod(library, folder_store)
    assert (
        put(client, other, made, title="Mine").json()["type"] == "urn:aethex:problem:not-the-owner"
    )
    answer = client.request("PUT", f"/api/vods/{made.id}", json={"title": "Mine"})
    assert answer.status_code == 401
    changed = put(client, owner, made, title=" The race ", description="Two\nlines").json()
    assert (changed["title"], changed["description"]) == ("The race", "Two\nlines")
    assert titles(client, made.channel_id, q="lines") == ["The race"]
    with library.session() as s:
        entry = audit.latest(s, 1, about=made.id)[0]
    assert (entry.action, entry.user_id) == ("vod.change", owner.id)
    assert entry.changes["title"] == ["Day one", "The race"]
    again = put(client, owner, made, title="The race").json()
    assert {**again, "hls_url": ""} == {**changed, "hls_url": ""}
    for wrong in ({"title": " "}, {"title": "a\x00"}, {"description": "x" * 5_001}, {"views": 5}):
        answer = put(client, owner, made, **wrong)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == list(wrong)


def test_a_private_vod_is_there_for_its_owner_alone(
    client: Client, library: Library, folder_store: Store, owner: Person, other: Person
) -> None:
    made = add_vod(library, folder_store, title="Secret plan")
    assert put(client, owner, made, is_public=False).json()["is_public"] is False
    assert titles(client, made.channel_id, owner) == ["Secret plan"]
    for who in (None, other):
        assert titles(client, made.channel_id, who) == []
        headers = who.headers if who else {}
        for path in (f"/api/vods/{made.id}", f"/vods/{made.id}"):
            assert client.get(path, headers=headers).status_code == 404
        if who:
            assert put(client, who, made, title="x").status_code == 404
        assert "Secret" not in client.get("/channel/gdq/vods", headers=headers).text
    assert "only you can see it" in owner.get(client, f"/vods/{made.id}").text
    assert "Private" in owner.get(client, "/channel/gdq/vods").text


def test_a_deleted_vod_comes_back_until_its_objects_go(
    client: Client, library: Library, folder_store: Store, owner: Person
) -> None:
    made = add_vod(library, folder_store)
    path = f"/api/vods/{made.id}"
    deleted = client.request("DELETE", path, headers=owner.headers).json()
    assert deleted["deleted_at"] is not None
    again = client.request("DELETE", path, headers=owner.headers).json()
    assert again["deleted_at"] == deleted["deleted_at"]
    assert client.get(path).status_code == 404
    assert titles(client, made.channel_id, owner) == ["Day one"]
    page = owner.get(client, f"/vods/{made.id}").text
    assert "Can be restored until" in page
    assert owner.post(client, f"/vods/{made.id}/restore").status_code == 303
    assert client.get(path).json()["deleted_at"] is None
    client.request("DELETE", path, headers=owner.headers)
    restored = client.request("POST", f"{path}/restore", headers=owner.headers)
    assert restored.json()["deleted_at"] is None
    client.request("DELETE", path, headers=owner.headers)
    with library.session() as s:
        row = vods.get(s, made.id)
        assert row is not None
        row.purge_started_at = row.deleted_at
    late = client.request("POST", f"{path}/restore", headers=owner.headers)
    assert (late.status_code, late.json()["type"]) == (409, "urn:aethex:problem:too-late")
    assert client.get(path, headers=owner.headers).status_code == 404


def test_a_deleted_vod_has_no_address_of_its_video(
    client: Client, library: Library, folder_store: Store, owner: Person
) -> None:
    made = add_vod(library, folder_store)
    deleted = client.request("DELETE", f"/api/vods/{made.id}", headers=owner.headers).json()
    listed = owner.get(client, f"/api/channels/{made.channel_id}/vods").json()["items"]
    for one in (deleted, *listed):
        assert [name for name, value in one.items() if name.endswith("_url") and value] == []


def test_no_cache_keeps_what_an_owner_is_told(
    client: Client, library: Library, folder_store: Store, owner: Person
) -> None:
    made = add_vod(library, folder_store, title="Secret plan", is_public=False)
    for path in (f"/api/vods/{made.id}", f"/api/channels/{made.channel_id}/vods"):
        answer = owner.get(client, path)
        assert "Secret plan" in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
    everybodys = client.get(f"/api/channels/{made.channel_id}/vods")
    assert "Cookie, Authorization" in everybodys.headers["vary"]


def test_where_creators_may_not_delete_it_is_refused(
    client: Client, library: Library, folder_store: Store, owner: Person
) -> None:
    made = add_vod(library, folder_store)
    with library.session() as s:
        wishes = recording.RecordingWishes(is_user_delete_allowed=False)
        recording.set_wishes(s, made.channel_id, wishes)
    answer = client.request("DELETE", f"/api/vods/{made.id}", headers=owner.headers)
    assert (answer.status_code, "private instead" in answer.text) == (403, True)
    assert "Delete this VOD" not in owner.get(client, f"/vods/{made.id}").text


def test_forms_work_without_scripts(
    client: Client, library: Library, folder_store: Store, owner: Person, other: Person
) -> None:
    made = add_vod(library, folder_store)
    page = f"/vods/{made.id}"
    assert f"/sign-in?next=%2Fvods%2F{made.id}" in client.get(page).text
    assert other.post(client, f"{page}/like", like="on").headers["location"] == page
    assert 'aria-pressed="true" aria-label="Like"' in other.get(client, page).text
    other.post(client, f"{page}/like", like="off")
    assert 'aria-pressed="true"' not in other.get(client, page).text
    other.post(client, f"/channels/{made.channel_id}/follow", follow="on")
    assert 'aria-pressed="true" aria-label="Follow gdq"' in other.get(client, page).text
    assert owner.post(client, f"{page}/edit", title="New", is_public="yes").status_code == 303
    assert "<h1>New</h1>" in client.get(page).text
    wrong = owner.post(client, f"{page}/edit", title=" ", description="kept")
    assert wrong.status_code == 422
    assert "The title is empty" in wrong.text
    assert ">kept<" in wrong.text
    assert other.post(client, f"{page}/edit", title="Mine").status_code == 403


@pytest.mark.parametrize("is_public", [True, False])
def test_a_refused_edit_shows_what_was_chosen_and_which_field_is_wrong(
    client: Client, library: Library, folder_store: Store, owner: Person, is_public: bool
) -> None:
    made = add_vod(library, folder_store)
    chosen = {"is_public": "yes"} if is_public else {}
    html = owner.post(client, f"/vods/{made.id}/edit", title=" ", **chosen).text
    assert ('name="is_public" value="yes" checked' in html) == is_public
    assert 'required aria-invalid="true" aria-describedby="edit-error"' in html


@pytest.mark.parametrize(
    ("came_from", "goes_to"),
    [
        ("http://aethex.test/channel/gdq/vods?page=2", "/channel/gdq/vods?page=2"),
        ("http://aethex.test/vods/{vod}/edit", "/vods/{vod}"),  # refused, and drawn there again
        ("http://aethex.test///elsewhere.example/", "/"),
        ("http://elsewhere.example/channel/gdq/vods", "/vods/{vod}"),
    ],
)
def test_who_likes_without_scripts_is_back_on_a_page_of_ours(
    client: Client,
    library: Library,
    folder_store: Store,
    other: Person,
    came_from: str,
    goes_to: str,
) -> None:
    made = add_vod(library, folder_store)
    answer = client.request(
        "POST",
        f"/vods/{made.id}/like",
        data={"like": "on"},
        headers={**other.headers, "Referer": came_from.format(vod=made.id)},
    )
    assert answer.headers["location"] == goes_to.format(vod=made.id)


def test_the_view_is_remembered(client: Client, library: Library, folder_store: Store) -> None:
    add_vod(library, folder_store)
    answer = client.get("/channel/gdq/vods?view=list")
    assert 'class="grid as-list"' in answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert (
        'class="grid as-list"' in client.get("/channel/gdq/vods", headers={"Cookie": cookie}).text
    )
    assert 'class="grid as-list"' not in client.get("/channel/gdq/vods").text
