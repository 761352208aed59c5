"""Requests that change something: only from our own pages, with the session's token."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Form, Request

from aethex.library import Library
from aethex.service.app import create_app
from aethex.service.csrf import FORM_BYTES
from aethex.service.identity import visitor_of
from aethex.settings import Settings
from tests.service.conftest import Client, serving
from tests.service.people import Person, person

PATH = "/change"


@pytest.fixture
def client(settings: Settings):
    app = create_app(settings)

    @app.api_route(PATH, methods=["POST", "PUT", "PATCH", "DELETE"])
    def change(request: Request) -> Any:
        return {"user": visitor_of(request).user_id}

    @app.post("/form")
    def form(name: str = Form()) -> Any:
        return {"name": name}

    with serving(app) as client:
        yield client


@pytest.fixture
def ada(library: Library, settings: Settings) -> Person:
    return person(library, settings, "ada")


def sent(client: Client, headers: dict[str, str], method: str = "POST", **more: Any) -> Any:
    answer = client.request(method, PATH, headers=headers, **more)
    return answer.json().get("type", answer.json().get("user"))


CROSS_SITE, NO_TOKEN = "urn:aethex:problem:cross-site", "urn:aethex:problem:csrf-token"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_script_of_ours_shows_the_token_in_a_header(
    client: Client, ada: Person, method: str
) -> None:
    assert sent(client, ada.headers, method) == ada.id
    without = {name: value for name, value in ada.headers.items() if name != "X-CSRF-Token"}
    assert sent(client, without, method) == NO_TOKEN
    assert sent(client, {**ada.headers, "X-CSRF-Token": "x"}, method) == NO_TOKEN


def test_a_form_of_ours_shows_the_token_in_a_field_and_arrives_whole(
    client: Client, ada: Person
) -> None:
    assert ada.post(client, "/form", name="Ada & Söhne").json() == {"name": "Ada & Söhne"}
    headers = {"Cookie": ada.cookie, "Sec-Fetch-Site": "same-origin"}
    for data in ({"name": "x"}, {"name": "x", "csrf_token": "x"}):
        assert client.request("POST", "/form", data=data, headers=headers).status_code == 403


def test_the_token_of_another_session_is_worth_nothing(
    client: Client, ada: Person, library: Library, settings: Settings
) -> None:
    eve, adas_phone = person(library, settings, "eve"), person(library, settings, "ada")
    for other in (eve, adas_phone):
        assert sent(client, {**ada.headers, "X-CSRF-Token": other.csrf_token}) == NO_TOKEN


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_page_of_another_site_is_refused_even_with_the_token(
    client: Client, ada: Person, site: str
) -> None:
    assert sent(client, {**ada.headers, "Sec-Fetch-Site": site}) == CROSS_SITE


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("http://localhost:8000", True),
        ("http://aethex.test", True),
        ("https://aethex.test", False),
        ("http://localhost:8000.evil.example", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_older_browser_is_judged_by_its_origin(
    client: Client, ada: Person, origin: str, is_ours: bool
) -> None:
    headers = {"Cookie": ada.cookie, "X-CSRF-Token": ada.csrf_token, "Origin": origin}
    assert sent(client, headers) == (ada.id if is_ours else CROSS_SITE)
    del headers["Origin"]
    assert sent(client, headers) == CROSS_SITE


def test_who_is_not_signed_in_needs_no_token_but_no_other_site_may_send_for_them(
    client: Client,
) -> None:
    assert client.request("POST", PATH).json() == {"user": None}
    assert sent(client, {"Sec-Fetch-Site": "same-origin"}) is None
    assert sent(client, {"Sec-Fetch-Site": "cross-site"}) == CROSS_SITE
    assert sent(client, {"Origin": "http://evil.example"}) == CROSS_SITE


def test_events_of_players_elsewhere_are_left_to_their_own_check(
    client: Client, ada: Person
) -> None:
    headers = {"Cookie": ada.cookie, "Content-Type": "application/json"}
    answer = client.request("POST", "/api/events?sent_at=1", headers=headers, content=b"[]")
    assert answer.status_code == 422
    assert client.request("POST", "/api/viewer", headers=headers).status_code == 200


def test_a_refusal_is_a_page_for_people(client: Client, ada: Person) -> None:
    headers = {"Cookie": ada.cookie, "Accept": "text/html", "Sec-Fetch-Site": "cross-site"}
    answer = client.request("POST", PATH, headers=headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store")
    assert "Another site sent this" in answer.text
    assert "Content-Security-Policy" in answer.headers


def test_no_form_can_fill_the_memory(client: Client, ada: Person) -> None:
    big = {"name": "x" * FORM_BYTES}
    assert ada.post(client, "/form", **big).status_code == 413
    assert client.request("POST", "/form", data=big).status_code == 413
    many = {f"f{n}": "x" for n in range(300)}
    assert client.request("POST", "/form", data=many).status_code == 413
    files = {"name": ("a.txt", b"x")}
    assert client.request("POST", "/form", files=files).status_code == 415
