"""Signing in with an OIDC issuer through the pages, and everything that must not work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from aethex.library import Library, accounts, audit, identities, users
from aethex.service import throttle
from aethex.service.app import create_app
from aethex.service.oidc.flow import LASTS_SECONDS, Attempts
from aethex.service.secret import service_key
from aethex.settings import Settings
from tests.oidc_issuer import CLIENT_ID, CLIENT_SECRET, StandInIssuer, stand_in_issuer
from tests.service.conftest import Client, serving
from tests.service.people import Person, person


@pytest.fixture
def issuer() -> Iterator[StandInIssuer]:
    with stand_in_issuer() as issuer:
        yield issuer


@pytest.fixture
def settings(settings: Settings, issuer: StandInIssuer) -> Settings:
    return settings.model_copy(
        update={
            "oidc_issuer": issuer.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
            "oidc_name": "Home & Co",
        }
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serving(create_app(settings)) as client:
        yield client


@dataclass
class Visit:
    """A browser: its cookies, and going to the issuer and back."""

    client: Client
    cookies: dict[str, str] = field(default_factory=dict[str, str])

    def get(self, path: str) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.client.get(path, headers={"Cookie": cookie, "Accept": "text/html"})
        for header in answer.headers.get_list("set-cookie"):
            name, _, rest = header.partition("=")
            value = rest.partition(";")[0].strip('"')
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value
        return answer

    def leave(self, query: str = "") -> str:
        """Begin; the path that the issuer sends the browser back to."""
        away = self.get(f"/sign-in/oidc{query}")
        assert away.status_code == 303, away.text
        back = urlsplit(httpx.get(away.headers["location"]).headers["location"])
        return f"{back.path}?{back.query}"

    def sign_in(self, query: str = "") -> httpx.Response:
        return self.get(self.leave(query))

    @property
    def username(self) -> str | None:
        found = re.search(r'class="small muted">@([^<]+)<', self.get("/").text)
        return found[1] if found else None


@pytest.fixture
def visit(client: Client) -> Visit:
    return Visit(client)


def log(library: Library) -> list[tuple[str, dict[str, Any]]]:
    with library.session() as s:
        return [(entry.action, entry.changes) for entry in reversed(audit.latest(s, 100))]


def test_who_comes_for_the_first_time_gets_an_account_and_the_same_one_ever_after(
    visit: Visit, issuer: StandInIssuer, library: Library
) -> None:
    assert 'href="/sign-in/oidc?next=/settings">Sign in with Home &amp; Co<' in (
        visit.get("/sign-in?next=/settings").text
    )
    issuer.person |= {"preferred_username": "Ada@example.com", "name": "Ada L."}
    answer = visit.sign_in("?next=/channel/gdq/vods")
    assert (answer.status_code, answer.headers["location"]) == (303, "/channel/gdq/vods")
    assert visit.username == "ada"
    assert "aethex_oidc" not in visit.cookies
    told = {"issuer": issuer.url}
    assert log(library) == [("user.sign_up", told), ("user.sign_in", {})]
    with library.session() as s:
        assert [user.display_name for user in accounts.list_all(s)] == ["Ada L."]
    issuer.person |= {"preferred_username": "another-name"}
    again = Visit(visit.client)
    assert again.sign_in().headers["location"] == "/"
    assert again.username == "ada"
    assert visit.get("/sign-in/oidc?next=/settings").headers["location"] == "/settings"


def test_what_the_issuer_is_asked_is_bound_to_this_browser(
    visit: Visit, issuer: StandInIssuer
) -> None:
    away = visit.get("/sign-in/oidc")
    header = away.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={LASTS_SECONDS}"} <= {
        part.strip() for part in header.split(";")
    }
    assert away.headers["cache-control"] == "no-store"
    query = {k: v[0] for k, v in parse_qs(urlsplit(away.headers["location"]).query).items()}
    assert query["redirect_uri"] == "http://localhost:8000/sign-in/oidc/callback"
    assert query["scope"] == "openid profile"
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    assert not any(query[name] in header for name in ("state", "nonce"))
    again = Visit(visit.client)
    again.leave()
    assert issuer.authorized[-1]["state"] != query["state"]


def test_a_name_that_is_taken_leads_to_nobodys_account(
    visit: Visit, issuer: StandInIssuer, library: Library
) -> None:
    with library.session() as s:
        for name in ("ada", "ada-2"):
            users.ensure_user(s, name)
    issuer.person |= {"preferred_username": "ada", "email": "ada@x.example", "email_verified": True}
    visit.sign_in()
    assert visit.username == "ada-3"


def test_names_that_an_id_token_lacks_are_asked_for(visit: Visit, issuer: StandInIssuer) -> None:
    issuer.userinfo = {"sub": "ada-at-home", "preferred_username": "ada"}
    visit.sign_in()
    assert visit.username == "ada"
    issuer.userinfo = {"sub": "somebody else", "preferred_username": "eve"}
    other = Visit(visit.client)
    assert other.sign_in().status_code == 503
    assert other.username is None


# --- what must not work ---------------------------------------------------------------------------


def test_a_state_works_once_and_only_in_its_own_browser(
    visit: Visit, issuer: StandInIssuer
) -> None:
    eve = Visit(visit.client)
    stolen, adas = eve.leave(), visit.leave()
    for path in (stolen, "/sign-in/oidc/callback?code=x", "/sign-in/oidc/callback?state=é&code=x"):
        mixed = visit.get(path)  # a link of eve's would sign Ada in as eve
        assert (mixed.status_code, "begin it again" in mixed.text) == (400, True)
    kept = dict(visit.cookies)
    assert visit.get(adas).status_code == 303
    assert visit.get(adas).status_code == 400  # the cookie is gone
    replayed = Visit(visit.client, kept)  # and with it the code is
    answer = replayed.get(adas)
    assert (answer.status_code, "used already" in answer.text) == (400, True)
    assert replayed.username is None
    assert Visit(visit.client).get(stolen).status_code == 400
    assert issuer.asked.count("/token") == 2


def test_a_sign_in_is_over_after_a_while_and_cannot_be_written_by_others(
    visit: Visit, settings: Settings
) -> None:
    path = visit.leave()
    attempts = Attempts(service_key(settings))
    text = visit.cookies["aethex_oidc"]
    attempt = attempts.read(text, 2**31)
    assert attempt is None
    payload, _, mac = text.partition(".")
    for forged in (Attempts(b"another key").written(attempts.begin(0, "/")), payload, f".{mac}"):
        visit.cookies["aethex_oidc"] = forged
        assert visit.get(path).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"azp": "x"}, {"exp": 1}],
    ids=str,
)
def test_an_id_token_of_something_else_signs_nobody_in(
    visit: Visit, issuer: StandInIssuer, library: Library, wrong: dict[str, Any]
) -> None:
    issuer.id_token = wrong
    answer = visit.sign_in()
    assert (answer.status_code, "cannot be used" in answer.text) == (400, True)
    assert visit.username is None
    with library.session() as s:
        assert accounts.list_all(s) == []
    assert log(library) == [("user.sign_in_failed", {"issuer": issuer.url})]


def test_a_refusal_there_is_a_page_that_says_what_to_do(
    visit: Visit, issuer: StandInIssuer
) -> None:
    issuer.error = "access_denied"
    answer = visit.sign_in("?next=/settings")
    assert answer.status_code == 400
    assert "did not allow it: begin again" in answer.text
    assert 'href="/sign-in/oidc?next=/settings"' in answer.text
    issuer.error = "<script>alert(1)</script>"
    other = visit.sign_in()
    assert "could not sign you in" in other.text
    assert "alert(1)" not in other.text
    assert "/sign-in/oidc/callback" not in other.text  # nothing leads back to a used address


@pytest.mark.parametrize("iss", ["", "&iss=https://evil.example"])
def test_an_answer_of_another_issuer_is_refused(visit: Visit, iss: str) -> None:
    path = visit.leave()
    answer = visit.get(re.sub(r"&iss=[^&]+", iss, path))
    assert (answer.status_code, "Another issuer" in answer.text) == (400, True)


def test_an_issuer_that_is_away_is_said_before_and_after(
    visit: Visit, issuer: StandInIssuer
) -> None:
    issuer.is_away = True
    answer = visit.get("/sign-in/oidc")
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)
    assert 'action="/sign-in"' in answer.text  # a password still works


def test_an_issuer_that_goes_away_meanwhile_is_said_too(
    visit: Visit, issuer: StandInIssuer
) -> None:
    path = visit.leave()
    issuer.is_away = True
    assert visit.get(path).status_code == 503


@pytest.mark.parametrize("bad", ["https://evil.example", "//evil.example", "/%5Cevil.example"])
def test_nobody_is_led_to_another_site(visit: Visit, bad: str) -> None:
    assert visit.sign_in(f"?next={bad}").headers["location"] == "/"


def test_codes_are_tried_so_often_from_an_address(
    visit: Visit, issuer: StandInIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "SIGN_INS_FROM_ADDRESS", 2)
    codes = [
        visit.get(re.sub("code=.*", "code=guessed", visit.leave())).status_code for _ in range(3)
    ]
    assert codes == [400, 400, 429]
    assert issuer.asked.count("/token") == 2


def test_without_an_issuer_there_is_nothing_of_it(settings: Settings, library: Library) -> None:
    plain = settings.model_copy(update={"oidc_issuer": None, "oidc_client_id": None})
    with serving(create_app(plain)) as client:
        assert "oidc" not in client.get("/sign-in").text
        for path in ("/sign-in/oidc", "/sign-in/oidc/callback"):
            assert client.get(path).status_code == 404
        ada = person(library, plain, "ada")
        assert "oidc" not in ada.get(client, "/settings").text
        assert ada.post(client, "/settings/oidc/unlink").status_code == 404
        bearer = {"Authorization": "Bearer nonsense"}
        assert client.get("/api/channels", headers=bearer).status_code == 200


# --- linking --------------------------------------------------------------------------------------


@pytest.fixture
def ada(library: Library, settings: Settings) -> Person:
    with library.session() as s:
        accounts.sign_up(s, audit.COMMAND_LINE, "ada", "Ada", "hash")
    return person(library, settings, "ada")


def visit_of(client: Client, who: Person) -> Visit:
    name, _, value = who.cookie.partition("=")
    return Visit(client, {name: value})


def link_of(visit: Visit) -> str:
    found = re.search(r'href="/sign-in/oidc(\?link=[^"]+)"', visit.get("/settings").text)
    assert found is not None
    return found[1]


def test_a_user_links_an_account_signs_in_with_it_and_unlinks_it(
    client: Client, ada: Person, issuer: StandInIssuer, library: Library
) -> None:
    visit = visit_of(client, ada)
    linked = visit.sign_in(link_of(visit))
    assert linked.headers["location"] == "/settings?saved=oidc#oidc"
    assert issuer.authorized[-1]["prompt"] == "login"
    assert "You can sign in with Home &amp; Co, since" in visit.get("/settings").text
    by_issuer = Visit(client)
    by_issuer.sign_in()
    assert by_issuer.username == "ada"
    assert ada.post(client, "/settings/oidc/unlink").status_code == 303
    assert "Link your account" in visit.get("/settings").text
    stranger = Visit(client)
    stranger.sign_in()
    assert stranger.username == "user"
    actions = [action for action, _ in log(library)]
    assert actions[1:4] == ["user.link_identity", "user.sign_in", "user.unlink_identity"]


def test_linking_cannot_be_begun_by_another_site_nor_end_in_another_session(
    client: Client, ada: Person, issuer: StandInIssuer, library: Library, settings: Settings
) -> None:
    visit, eve = visit_of(client, ada), visit_of(client, person(library, settings, "eve"))
    for token in (ada.csrf_token, "x", link_of(eve).removeprefix("?link=")):
        assert visit.get(f"/sign-in/oidc?link={token}").status_code == 403
    assert Visit(client).get("/sign-in/oidc?link=x").status_code == 401
    path = eve.leave(link_of(eve))
    eve.cookies |= visit.cookies  # Ada signs in meanwhile
    assert eve.get(path).status_code == 400
    assert "/token" not in issuer.asked


def test_an_account_is_linked_to_one_user_and_a_user_to_one_account(
    client: Client, ada: Person, issuer: StandInIssuer, library: Library, settings: Settings
) -> None:
    eve = visit_of(client, person(library, settings, "eve"))
    visit = visit_of(client, ada)
    again, path = link_of(visit), link_of(eve)
    visit.sign_in(again)
    refused = eve.sign_in(path)
    assert (refused.status_code, "another user here" in refused.text) == (422, True)
    issuer.person = {"sub": "her other one"}
    second = visit.sign_in(again)
    assert (second.status_code, "linked already" in second.text) == (422, True)


def test_the_last_way_in_stays(
    client: Client, visit: Visit, library: Library, settings: Settings, issuer: StandInIssuer
) -> None:
    visit.sign_in()
    assert "It is your only way to sign in" in visit.get("/settings").text
    same = person(library, settings, "user")
    refused = same.post(client, "/settings/oidc/unlink")
    assert (refused.status_code, "only way to sign in" in refused.text) == (422, True)
    with library.session() as s:
        assert identities.of_user(s, same.id, issuer.url) is not None


def test_the_role_follows_the_issuer_at_each_sign_in(
    settings: Settings, issuer: StandInIssuer, library: Library
) -> None:
    claim = {"oidc_role_claim": "groups", "oidc_admin_values": ("ops",)}
    with serving(create_app(settings.model_copy(update=claim))) as client:
        roles: list[str] = []
        for groups in (["ops"], ["x"], ["ops"], None):
            issuer.person = {"sub": "ada", "preferred_username": "ada", "groups": groups}
            Visit(client).sign_in()
            with library.session() as s:
                roles.append(accounts.named(s, "ada").role)
        assert roles == ["admin", "viewer", "admin", "viewer"]
    changes = [changes["role"] for action, changes in log(library) if action == "user.set_role"]
    assert changes == [["viewer", "admin"], ["admin", "viewer"]] * 2
