"""`POST /api/events` and `/api/viewer` for players: who watches, and whose pages may send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aethex.library import Library, sessions
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store
from tests.service.conftest import Client, serving
from tests.service.people import person
from tests.service.sending import (
    Place,
    as_player,
    as_server,
    landed,
    statuses,
    viewer_cookie,
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"events_flush_ms": 0})


def test_a_players_viewer_is_in_its_signed_cookie(
    client: Client, place: Place, folder_store: Store
) -> None:
    cookie = viewer_cookie(client)
    assert cookie is not None
    viewer_id = cookie.rpartition(".")[0]
    mine = {"aethex_viewer": cookie}
    again = client.request("POST", "/api/viewer", headers={"Cookie": f"aethex_viewer={cookie}"})
    assert again.cookies["aethex_viewer"] == cookie
    as_player(client, [place.beat()], cookies=mine)
    forged = {"aethex_viewer": "vw_01JH2V5Q8ZK3M4N5P6Q7R8S9TE." + cookie.rpartition(".")[2]}
    as_player(client, [place.beat()], cookies=forged)
    as_player(client, [place.beat()], cookies={})
    assert [row["viewer_id"] for row in landed(folder_store)] == [viewer_id, None, None]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: Client) -> None:
    header = client.request("POST", "/api/viewer").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in header.split(";")}
    assert "Secure" not in header


def test_behind_https_the_cookie_is_for_https_alone(settings: Settings) -> None:
    https = settings.model_copy(update={"public_url": "https://live.example"})
    with serving(create_app(https)) as client:
        assert "Secure" in client.request("POST", "/api/viewer").headers["set-cookie"]


def test_an_embed_keeps_an_id_of_its_own(client: Client, place: Place, folder_store: Store) -> None:
    answer = client.request("POST", "/api/viewer?embed=true")
    assert "set-cookie" not in answer.headers
    viewer = answer.json()["viewer"]
    again = client.request("POST", "/api/viewer", params={"embed": "true", "viewer": viewer})
    assert again.json()["viewer"] == viewer
    as_player(client, [place.beat()], viewer=viewer)
    assert [row["viewer_id"] for row in landed(folder_store)] == [viewer.rpartition(".")[0]]


@pytest.mark.parametrize("wish", [{"DNT": "1"}, {"Sec-GPC": "1"}])
def test_who_wishes_not_to_be_tracked_is_not(
    client: Client, place: Place, folder_store: Store, wish: dict[str, str]
) -> None:
    cookie = viewer_cookie(client)
    assert cookie is not None
    assert viewer_cookie(client, **wish) is None
    assert client.request("POST", "/api/viewer?embed=true", headers=wish).json() == {"viewer": None}
    as_player(client, [place.beat()], headers=wish, cookies={"aethex_viewer": cookie})
    (row,) = landed(folder_store)
    assert (row["viewer_id"], row["session_id"]) == (None, "session-1")


def test_crawlers_are_named_and_their_user_agents_are_not_kept(
    client: Client, place: Place, folder_store: Store
) -> None:
    google = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    for agent in (google, firefox, ""):
        as_player(client, [place.beat()], headers={"User-Agent": agent})
    as_server(client, place.token, [place.beat(user_agent=google), place.beat(user_agent=firefox)])
    as_server(client, place.token, [place.beat()])
    crawlers = [row["payload"].get("crawler") for row in landed(folder_store)]
    assert crawlers == ["Googlebot", None, "no user agent", "Googlebot", None, None]
    assert "Firefox" not in str(landed(folder_store))


# --- from where -----------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Client]:
    """A service that takes events from pages of https://aethex.live too."""
    with serving(
        create_app(settings.model_copy(update={"cors_origins": ("https://aethex.live",)}))
    ) as client:
        yield client


def test_pages_of_configured_origins_may_send_with_their_cookie(
    elsewhere: Client, place: Place
) -> None:
    origin = {"Origin": "https://aethex.live"}
    answer = as_player(elsewhere, [place.beat()], headers=origin)
    assert statuses(answer) == ["accepted"]
    assert answer.headers["access-control-allow-origin"] == "https://aethex.live"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "Retry-After"
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    allowed = elsewhere.options("/api/events", headers=asked)
    assert allowed.status_code == 200
    assert "POST" in allowed.headers["access-control-allow-methods"]
    refused = as_player(elsewhere, [{}], headers={**origin, "Content-Encoding": "br"})
    assert refused.status_code == 415
    assert refused.headers["access-control-allow-origin"] == "https://aethex.live"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://aethex.live"])
def test_pages_of_other_origins_may_not(
    elsewhere: Client, place: Place, folder_store: Store, origin: str
) -> None:
    answer = as_player(elsewhere, [place.beat()], headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert elsewhere.request("POST", "/api/viewer", headers={"Origin": origin}).status_code == 403
    assert landed(folder_store) == []


def test_our_own_pages_may(elsewhere: Client, place: Place) -> None:
    answer = as_player(elsewhere, [place.beat()], headers={"Origin": "http://aethex.test"})
    assert statuses(answer) == ["accepted"]


def test_the_viewer_is_the_user_who_is_signed_in(
    client: Client, library: Library, settings: Settings, place: Place, folder_store: Store
) -> None:
    ada, gone = person(library, settings, "ada"), person(library, settings, "gone")
    with library.session() as s:
        sessions.end(s, gone.secret)
    viewer = viewer_cookie(client)
    assert viewer is not None
    for cookies in (
        {"aethex_session": ada.secret, "aethex_viewer": viewer},
        {"aethex_session": gone.secret, "aethex_viewer": viewer},
        {"aethex_session": ada.id, "aethex_viewer": f"{ada.id}.{viewer.rpartition('.')[2]}"},
    ):
        as_player(client, [place.beat()], cookies=cookies)
    embed = client.request("POST", "/api/viewer?embed=true").json()["viewer"]
    as_player(client, [place.beat()], cookies={"aethex_session": ada.secret}, viewer=embed)
    known = [ada.id, viewer.rpartition(".")[0], None, embed.rpartition(".")[0]]
    assert [row["viewer_id"] for row in landed(folder_store)] == known


def test_who_is_signed_in_and_wishes_not_to_be_tracked_is_not(
    client: Client, library: Library, settings: Settings, place: Place, folder_store: Store
) -> None:
    ada = person(library, settings, "ada")
    cookies = {"aethex_session": ada.secret}
    as_player(client, [place.beat()], cookies=cookies, headers={"DNT": "1"})
    assert [row["viewer_id"] for row in landed(folder_store)] == [None]
