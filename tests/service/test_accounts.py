"""Signing up, in and out, through the pages as they are without scripts."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update

from aethex.library import Library, User, accounts, audit, sessions, users
from aethex.library.models import Attempt, Credential
from aethex.library.passwords import Passwords
from aethex.service import throttle
from aethex.service.app import create_app
from aethex.service.pages.own_paths import own_path
from aethex.service.problems import Problem
from aethex.settings import Settings
from tests.service.conftest import Client, serving
from tests.service.people import Person, person

PASSWORD = "correct horse battery"


def post(client: Client, path: str, cookie: str = "", **fields: Any) -> httpx.Response:
    """Send a form as a browser does in which nobody is signed in (or with an old cookie)."""
    headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html", "Cookie": cookie}
    return client.request("POST", path, data=fields, headers=headers)


def sign_up(client: Client, username: str = "ada", **fields: Any) -> httpx.Response:
    return post(client, "/sign-up", **{"username": username, "password": PASSWORD, **fields})


def sign_in(client: Client, password: str = PASSWORD, username: str = "ada", **fields: Any):
    return post(client, "/sign-in", username=username, password=password, **fields)


def cookie_of(answer: httpx.Response) -> str:
    return f"aethex_session={answer.cookies['aethex_session']}"


def is_signed_in(client: Client, cookie: str) -> bool:
    return "Sign out</button>" in client.get("/", headers={"Cookie": cookie}).text


def actions(library: Library) -> list[tuple[str, dict[str, Any]]]:
    with library.session() as s:
        return [(entry.action, entry.changes) for entry in reversed(audit.latest(s, 100))]


def test_who_signs_up_is_signed_in_and_goes_on(client: Client, library: Library) -> None:
    answer = sign_up(client, display_name="Ada L.", next="/channel/gdq/vods?page=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/channel/gdq/vods?page=2")
    header = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in header.split(";")}
    page = client.get("/settings", headers={"Cookie": cookie_of(answer)})
    assert page.status_code == 200
    assert "Ada L." in page.text
    assert actions(library) == [("user.sign_up", {}), ("user.sign_in", {})]
    with library.session() as s:
        user = users.by_username(s, "ada")
        assert user is not None
        assert user.role == "viewer"
        assert {e.user_id for e in audit.latest(s, 9)} == {user.id}
        assert {e.address for e in audit.latest(s, 9)} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"username": "Ada Lovelace"}, "such as &#39;ada_lovelace&#39;"),
        ({"username": ""}, "cannot be a username"),
        ({"username": "a\0b"}, "cannot be a username"),
        ({"password": "short"}, "write at least 10"),
        ({"password": "x" * 300}, "at most 200"),
        ({"username": "adalovelace", "password": "AdaLovelace12"}, "too easy to guess"),
        ({"password": "12345678901"}, "too easy to guess"),
        ({"password": "ababababab"}, "too easy to guess"),
        ({"display_name": "x" * 301}, "shorten it to 300"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    client: Client, library: Library, fields: dict[str, str], said: str
) -> None:
    answer = sign_up(client, **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert fields.get("password", PASSWORD) not in answer.text
    with library.session() as s:
        assert accounts.list_all(s) == []


def test_a_name_is_given_once(client: Client) -> None:
    assert sign_up(client).status_code == 303
    again = sign_up(client, password="another password")
    assert (again.status_code, "is taken" in again.text) == (422, True)
    assert sign_in(client).status_code == 303


def test_signing_in_begins_a_session_of_its_own(client: Client) -> None:
    first = cookie_of(sign_up(client))
    second = cookie_of(sign_in(client, username=" ADA "))
    assert first != second
    assert is_signed_in(client, first)
    assert is_signed_in(client, second)


def test_signing_in_ends_the_browsers_present_session(
    client: Client, library: Library, settings: Settings
) -> None:
    sign_up(client)
    eve = person(library, settings, "eve")
    answer = eve.post(client, "/sign-in", username="ada", password=PASSWORD)
    assert answer.status_code == 303
    assert not is_signed_in(client, eve.cookie)


def test_signing_out_ends_the_session_in_the_database_too(
    client: Client, library: Library, settings: Settings
) -> None:
    ada, phone = person(library, settings, "ada"), person(library, settings, "ada")
    answer = ada.post(client, "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert 'aethex_session="";' in answer.headers["set-cookie"]
    assert not is_signed_in(client, ada.cookie)
    assert is_signed_in(client, phone.cookie)
    assert ada.post(client, "/sign-out").status_code == 303  # again does no harm
    assert client.get("/sign-out").status_code == 405


def test_an_unknown_name_and_a_wrong_password_are_answered_alike(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up(client)
    with library.session() as s:
        users.ensure_user(s, "imported")  # it has no password
    hashed: list[str] = []
    hash_secret = Passwords.hash
    monkeypatch.setattr(
        Passwords, "hash", lambda self, text: hashed.append(text) or hash_secret(self, text)
    )
    wrong = sign_in(client, "not the password", next="/settings")
    assert hashed == []  # it was compared, which costs the same
    for number, name in enumerate(("nobody", "imported", "a\0", "not a name!"), 1):
        unknown = sign_in(client, "not the password", name, next="/settings")
        assert unknown.status_code == wrong.status_code == 422
        expected = wrong.text.replace('value="ada"', "")
        assert re.sub(r' value="(nobody|imported|a.?|not a name!)"', " ", unknown.text) == expected
        assert len(hashed) == number
    assert "set-cookie" not in wrong.headers


def test_the_log_knows_who_was_tried_and_no_other_text(client: Client, library: Library) -> None:
    sign_up(client)
    for name in ("ada", "nobody", "My Password typed here!"):
        sign_in(client, "not the password", name)
    told = [entry for entry in actions(library) if entry[0] == "user.sign_in_failed"]
    assert [changes for _, changes in told] == [
        {},
        {"username_tried": "nobody"},
        {"username_tried": None},
    ]
    with library.session() as s:
        user = users.by_username(s, "ada")
        assert user is not None
        assert next(e.action for e in audit.latest(s, 9, about=user.id)) == "user.sign_in_failed"
        every = s.scalar(text("select string_agg(t::text, ' ') from audit_log t"))
        assert "assword" not in str(every)


def test_who_is_signed_in_goes_on_from_the_sign_in_page(
    client: Client, library: Library, settings: Settings
) -> None:
    ada = person(library, settings, "ada")
    for path in ("/sign-in", "/sign-up"):
        answer = ada.get(client, f"{path}?next=/settings")
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
        assert client.get(path).headers["cache-control"] == "no-store"
    assert (
        'href="/sign-in?next=%2Fchannel'
        in client.get("/channel/x/vods?page=1", headers={"Accept": "text/html"}).text
    )


@pytest.mark.parametrize(
    "bad",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil.example", "",
        " //evil.example", "/é", "/" + "x" * 2000,
    ],
)  # fmt: skip
def test_nobody_is_led_to_another_site(client: Client, bad: str) -> None:
    assert own_path(bad) == "/"
    sign_up(client)
    assert sign_in(client, next=bad).headers["location"] == "/"


def test_a_path_of_ours_is_kept() -> None:
    assert own_path("/vods/vod_1?t=75#about") == "/vods/vod_1?t=75#about"


# --- too many attempts ----------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "SIGN_INS_OF_USER_FROM_ADDRESS", 3)
    monkeypatch.setattr(throttle, "SIGN_INS_FROM_ADDRESS", 6)
    monkeypatch.setattr(throttle, "SIGN_UPS_FROM_ADDRESS", 3)


@pytest.mark.usefixtures("few")
def test_a_name_is_tried_so_often_from_an_address_and_then_not_even_rightly(
    client: Client, library: Library
) -> None:
    sign_up(client)
    for _ in range(5):
        assert sign_in(client).status_code == 303  # good ones do not count
    for _ in range(3):
        assert sign_in(client, "wrong password").status_code == 422
    refused = sign_in(client)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 15 * 60
    with library.session() as s:  # a quarter of an hour later
        s.execute(update(Attempt).values(began_at=datetime.now(UTC) - throttle.WINDOW))
    assert sign_in(client).status_code == 303


@pytest.mark.usefixtures("few")
def test_an_address_tries_so_many_names(client: Client) -> None:
    codes = [sign_in(client, "wrong password", f"name{n}").status_code for n in range(8)]
    assert codes == [422] * 6 + [429] * 2


@pytest.mark.usefixtures("few")
def test_an_address_makes_so_many_accounts(client: Client) -> None:
    assert [sign_up(client, f"name{n}").status_code for n in range(4)] == [303] * 3 + [429]


@pytest.mark.usefixtures("few")
def test_more_processes_and_requests_at_once_give_no_more_attempts(library: Library) -> None:
    services = [throttle.Throttle(library, b"the same key of all") for _ in range(4)]

    def attempt(number: int) -> bool:
        try:
            services[number % 4].sign_in("ada", "192.0.2.1")
        except Exception:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(24))) == 3


@pytest.mark.usefixtures("few")
def test_a_single_address_locks_nobody_out(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "SIGN_INS_OF_USER", 8)
    bounds = throttle.Throttle(library, b"the same key of all")
    for _ in range(20):
        with suppress(Problem):
            bounds.sign_in("ada", "192.0.2.1")
    bounds.sign_in("ada", "198.51.100.7")  # from where she is herself
    bounds.sign_in("somebody-else", "192.0.2.1")  # and who shares the address


def test_the_counts_tell_neither_names_nor_addresses(client: Client, library: Library) -> None:
    sign_in(client, "wrong password", "somebody")
    with library.session() as s:
        every = str(s.scalar(text("select string_agg(t::text, ' ') from attempts t")))
        assert every.count(",1,") == 3
        assert "somebody" not in every
        assert "127.0.0.1" not in every


# --- passwords ------------------------------------------------------------------------------------


def test_a_password_is_hashed_anew_when_its_cost_was_changed(
    settings: Settings, client: Client, library: Library
) -> None:
    sign_up(client)
    dearer = settings.model_copy(update={"password_memory_bytes": 16 * 1024})
    with serving(create_app(dearer)) as other:
        assert sign_in(other).status_code == 303
    with library.session() as s:
        (credential,) = s.query(Credential).all()
        assert "$argon2id$v=19$m=16,t=3,p=1$" in credential.password_hash
    assert sign_in(client).status_code == 303


def test_the_same_character_written_otherwise_is_the_same_password() -> None:
    passwords = Passwords(8 * 1024)
    stored = passwords.hash("Größe der Welt")
    assert passwords.matches(stored, "Gro\u0308ße der Welt".replace("o\u0308", "ö"))
    assert passwords.matches(stored, "Größe der Welt")
    assert not passwords.matches(stored, "Grosse der Welt")
    assert not passwords.matches("no hash", "Größe der Welt")
    assert not passwords.matches(None, "Größe der Welt")
    assert not passwords.matches(stored, "\ud800" * 20)


def test_changing_the_password_ends_all_other_sessions(client: Client) -> None:
    mine, other = cookie_of(sign_up(client)), cookie_of(sign_in(client))
    token = re.search(r'name="csrf_token" value="([^"]+)"', settings_page(client, mine))
    assert token is not None
    fields = {"csrf_token": token[1], "present": PASSWORD, "password": "another password"}
    changed = post(client, "/settings/password", mine, **fields)
    assert (changed.status_code, changed.headers["location"]) == (
        303,
        "/settings?saved=password#password",
    )
    assert is_signed_in(client, cookie_of(changed))
    assert not is_signed_in(client, mine)
    assert not is_signed_in(client, other)
    assert sign_in(client).status_code == 422
    assert sign_in(client, "another password").status_code == 303


def test_who_is_just_signing_in_with_the_old_password_does_not_outlive_the_new_one(
    client: Client, ada: Person, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a password is compared, which takes long, its owner changes it."""
    matches = Passwords.matches

    def matches_and_is_changed(self: Passwords, stored: str | None, password: str) -> bool:
        is_right = matches(self, stored, password)
        with library.session() as s:
            hashed = self.hash("another password")
            accounts.set_password(s, audit.COMMAND_LINE, ada.id, hashed, datetime.now(UTC))
        return is_right

    monkeypatch.setattr(Passwords, "matches", matches_and_is_changed)
    assert sign_in(client).status_code == 422
    monkeypatch.undo()
    assert sign_in(client, "another password").status_code == 303
    monkeypatch.setattr(Passwords, "matches", matches_and_is_changed)
    fields = {"present": "another password", "password": "the thief's own"}
    assert ada.post(client, "/settings/password", **fields).status_code == 422
    monkeypatch.undo()
    assert sign_in(client, "the thief's own").status_code == 422


def settings_page(client: Client, cookie: str) -> str:
    return client.get("/settings", headers={"Cookie": cookie}).text


@pytest.fixture
def ada(library: Library, settings: Settings) -> Person:
    with library.session() as s:
        hashed = Passwords(settings.password_memory_bytes).hash(PASSWORD)
        accounts.sign_up(s, audit.COMMAND_LINE, "ada", "Ada", hashed)
    return person(library, settings, "ada")


def test_the_present_password_is_asked_for_and_cannot_be_guessed_there(
    client: Client, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "SIGN_INS_OF_USER_FROM_ADDRESS", 2)
    codes = [
        ada.post(client, "/settings/password", present=f"guess {n}", password="another password")
        for n in range(3)
    ]
    assert [answer.status_code for answer in codes] == [422, 422, 429]
    assert "not your present password" in codes[0].text
    assert "another password" not in codes[0].text
    weak = ada.post(client, "/settings/password", present=PASSWORD, password="short")
    assert (weak.status_code, "at least 10" in weak.text) == (422, True)


def test_the_display_name_is_changed_and_the_change_is_noted(
    client: Client, ada: Person, library: Library
) -> None:
    assert ada.post(client, "/settings/profile", display_name=" Ada L. ").status_code == 303
    page = ada.get(client, "/settings?saved=profile").text
    assert 'role="status">Saved' in page
    assert "Ada L." in page
    assert actions(library)[-1] == ("user.set_display_name", {"display_name": ["Ada", "Ada L."]})
    refused = ada.post(client, "/settings/profile", display_name="<b>" * 200)
    assert (refused.status_code, "shorten it" in refused.text) == (422, True)
    assert "<b>" not in refused.text.replace("<b>·</b>", "")


def test_a_user_makes_one_channel(client: Client, ada: Person, library: Library) -> None:
    bad = ada.post(client, "/settings/channels", username="Not Good", title="T")
    assert (bad.status_code, "cannot be a username" in bad.text) == (422, True)
    made = ada.post(client, "/settings/channels", username="adas", title="Ada's")
    assert made.status_code == 303
    page = ada.get(client, "/settings").text
    assert 'href="/channel/adas/vods"' in page
    assert "Create your channel" not in page
    again = ada.post(client, "/settings/channels", username="more", title="")
    assert (again.status_code, "a channel already" in again.text) == (422, True)
    assert actions(library)[-1][0] == "channel.create"


def test_somebody_elses_channel_name_is_taken(
    client: Client, ada: Person, library: Library, settings: Settings
) -> None:
    eve = person(library, settings, "eve")
    assert ada.post(client, "/settings/channels", username="adas").status_code == 303
    refused = eve.post(client, "/settings/channels", username="adas")
    assert (refused.status_code, "is taken" in refused.text) == (422, True)


def test_signing_out_everywhere_ends_all_sessions(
    client: Client, ada: Person, library: Library, settings: Settings
) -> None:
    phone, eve = person(library, settings, "ada"), person(library, settings, "eve")
    assert "signed in in 2 browsers" in ada.get(client, "/settings").text
    assert ada.post(client, "/settings/sessions/end").headers["location"] == "/"
    assert [is_signed_in(client, who.cookie) for who in (ada, phone, eve)] == [False, False, True]


def test_settings_are_for_who_is_signed_in(client: Client) -> None:
    answer = client.get("/settings", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert 'href="/sign-in?next=%2Fsettings"' in answer.text


def test_who_signs_in_waits_for_nobody_elses_old_session(ada: Person, library: Library) -> None:
    """Two that end an old session of their own, and then remove all, would each wait for the
    other's.
    """
    now, keep = datetime.now(UTC), timedelta(days=30)
    with library.session() as s:
        mine, hers = (sessions.begin(s, ada.id, now - 2 * keep) for _ in range(2))
    with library.session() as one, library.session() as other:
        other.execute(text("set local lock_timeout = '1s'"))
        assert sessions.end(one, mine)
        assert sessions.end(other, hers)
        assert sessions.remove_old(other, now, keep) == 0


def test_old_sessions_are_removed_as_people_sign_in(
    client: Client, ada: Person, library: Library
) -> None:
    with library.session() as s:
        long_ago = datetime.now(UTC) - timedelta(days=31)
        sessions.begin(s, ada.id, long_ago)
    sign_in(client)
    with library.session() as s:
        assert sessions.remove_old(s, datetime.now(UTC), timedelta(days=30)) == 0
        assert s.query(User).count() == 1
