"""`aethex token …`: a token is printed once, works until it is revoked, and is shown to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aethex.library import Library, tokens
from aethex.service.app import create_app
from aethex.settings import Settings
from tests.commands import Commands, Outcome
from tests.service.conftest import Client, serving
from tests.service.sending import Place, add_place, as_server, statuses

TOKEN = re.compile(r"^aethex_[0-9A-Z]{26}_[A-Za-z0-9_-]{43}$", re.MULTILINE)


@pytest.fixture
def aethex(tmp_path: Path, database_url: str) -> Commands:
    return Commands(tmp_path / "data", database_url)


@pytest.fixture
def place(library: Library) -> Place:
    """A channel `gdq` with a stream."""
    return add_place(library)


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The service, which asks for a token each time."""
    monkeypatch.setattr("aethex.service.ingest.senders.TOKEN_SECONDS", 0.0)
    with serving(create_app(settings.model_copy(update={"events_flush_ms": 0}))) as client:
        yield client


def text_in(outcome: Outcome) -> str:
    """The token's text, which is printed once, on a line of its own."""
    assert outcome.code == 0, outcome.stderr
    (text,) = TOKEN.findall(outcome.stdout)
    assert outcome.stdout.count(text) == 1
    return text


def id_of(text: str) -> str:
    return f"tok_{text.split('_')[1]}"


def works(client: Client, place: Place, text: str) -> bool:
    answer = as_server(client, text, [place.chat()])
    assert answer.status_code in (200, 401)
    return answer.status_code == 200 and statuses(answer) == ["accepted"]


# --- create ---------------------------------------------------------------------------------------


def test_a_channels_token_sends_events_of_that_channel_alone(
    aethex: Commands, client: Client, place: Place, library: Library
) -> None:
    text = text_in(aethex("token", "create", "chat relay", "--channel", "gdq"))
    other = add_place(library, "other")
    assert statuses(as_server(client, text, [place.chat(), other.chat()])) == [
        *("accepted", "rejected")
    ]


def test_a_platforms_token_sends_events_of_all_channels(
    aethex: Commands, client: Client, place: Place, library: Library
) -> None:
    text = text_in(aethex("token", "create", "relay", "--platform"))
    other = add_place(library, "other")
    assert statuses(as_server(client, text, [place.chat(), other.chat()])) == ["accepted"] * 2


@pytest.mark.parametrize("scope", [(), ("--channel", "gdq", "--platform")])
def test_neither_or_both_of_channel_and_platform_is_used_wrongly(
    aethex: Commands, library: Library, scope: tuple[str, ...]
) -> None:
    outcome = aethex("token", "create", "relay", *scope)
    assert outcome.code == 2
    assert "either --channel or --platform" in outcome.stderr
    assert made(library) == []


def test_a_channel_that_is_not_there_is_named_in_one_line(
    aethex: Commands, library: Library
) -> None:
    outcome = aethex("token", "create", "relay", "--channel", "nobody")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == "Error: There is no channel 'nobody': check --channel.\n"
    assert made(library) == []


def test_an_empty_channel_does_not_become_the_platform(aethex: Commands, library: Library) -> None:
    """As when a script's variable is not set: `--channel "$CHANNEL"`."""
    outcome = aethex("token", "create", "relay", "--channel", "")
    assert outcome.code == 1
    assert "There is no channel ''" in outcome.stderr
    assert made(library) == []


def test_an_empty_name_is_refused_in_one_line(aethex: Commands, library: Library) -> None:
    outcome = aethex("token", "create", " ", "--platform")
    assert outcome.code == 1
    assert outcome.stderr == "Error: The token's name is empty: give it a text.\n"
    assert made(library) == []


def made(library: Library) -> list[str]:
    with library.session() as s:
        return [token.id for token in tokens.list_all(s)]


# --- list -----------------------------------------------------------------------------------------


def test_the_list_says_whose_they_are_and_whether_they_are_good_but_no_secret(
    aethex: Commands, library: Library
) -> None:
    add_place(library)
    mine = text_in(aethex("token", "create", "chat relay", "--channel", "gdq"))
    ours = text_in(aethex("token", "create", "importer", "--platform"))
    new = text_in(aethex("token", "rotate", id_of(ours)))
    aethex("token", "revoke", id_of(mine))
    outcome = aethex("token", "list")
    assert outcome.code == 0
    lines = {line.split()[0]: line for line in outcome.stdout.splitlines()}
    assert "revoked" in lines[id_of(mine)]
    assert "@gdq" in lines[id_of(mine)]
    assert "good" in lines[id_of(ours)]
    assert len(re.findall(r"\d{4}-\d\d-\d\d", lines[id_of(ours)])) == 2  # created, rotated
    for text in (mine, ours, new):
        assert text.split("_", 2)[2] not in outcome.stdout


def test_without_tokens_the_list_says_how_to_make_one(aethex: Commands) -> None:
    outcome = aethex("token", "list")
    assert outcome.code == 0
    assert "aethex token create" in outcome.stdout


def test_names_are_shown_as_they_are_whatever_they_look_like(aethex: Commands) -> None:
    for name in ("relay [eu]", "[/]", "[red]x"):
        text = text_in(aethex("token", "create", name, "--platform"))
        shown = aethex("token", "list")
        assert shown.code == 0
        assert name.split()[-1] in shown.stdout
        revoked = aethex("token", "revoke", id_of(text))
        assert revoked.stdout == f"{name} ({id_of(text)}) is revoked.\n"


def test_ids_stay_whole_in_a_narrow_terminal(aethex: Commands) -> None:
    name = "a relay with a name that is much longer than anybody would give it " * 2
    text = text_in(aethex("token", "create", name, "--platform"))
    assert id_of(text) in aethex("token", "list").stdout.split()


# --- rotate ---------------------------------------------------------------------------------------


def test_after_a_rotation_both_are_good_for_a_while(
    aethex: Commands, client: Client, place: Place
) -> None:
    old = text_in(aethex("token", "create", "relay", "--channel", "gdq"))
    outcome = aethex("token", "rotate", id_of(old))
    new = text_in(outcome)
    assert new != old
    assert id_of(new) == id_of(old)
    assert "The old one is good for 24 more hours." in outcome.stdout
    assert works(client, place, old)
    assert works(client, place, new)


def test_after_a_rotation_without_overlap_only_the_new_one_is(
    aethex: Commands, client: Client, place: Place
) -> None:
    old = text_in(aethex("token", "create", "relay", "--channel", "gdq"))
    new = text_in(aethex("token", "rotate", id_of(old), "--overlap-hours", "0"))
    assert not works(client, place, old)
    assert works(client, place, new)


@pytest.mark.parametrize("hours", ["-1", "1e9", "soon"])
def test_an_overlap_that_is_none_is_used_wrongly(
    aethex: Commands, client: Client, place: Place, hours: str
) -> None:
    old = text_in(aethex("token", "create", "relay", "--channel", "gdq"))
    assert aethex("token", "rotate", id_of(old), "--overlap-hours", hours).code == 2
    assert works(client, place, old)


def test_a_revoked_token_is_not_rotated(aethex: Commands) -> None:
    token_id = id_of(text_in(aethex("token", "create", "relay", "--platform")))
    aethex("token", "revoke", token_id)
    outcome = aethex("token", "rotate", token_id)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == f"Error: Token {token_id} was revoked: create a new one.\n"


# --- revoke ---------------------------------------------------------------------------------------


def test_a_revocation_ends_the_new_one_and_the_old_one(
    aethex: Commands, client: Client, place: Place
) -> None:
    old = text_in(aethex("token", "create", "relay", "--channel", "gdq"))
    new = text_in(aethex("token", "rotate", id_of(old)))
    other = text_in(aethex("token", "create", "another", "--channel", "gdq"))
    for _ in range(2):  # repeating it changes nothing
        outcome = aethex("token", "revoke", id_of(old))
        assert outcome.code == 0
        assert outcome.stdout == f"relay ({id_of(old)}) is revoked.\n"
    assert not works(client, place, old)
    assert not works(client, place, new)
    assert works(client, place, other)


@pytest.mark.parametrize("command", ["rotate", "revoke"])
@pytest.mark.parametrize("token_id", ["tok_1", "", "[red]"])
def test_an_unknown_id_is_named_in_one_line(aethex: Commands, command: str, token_id: str) -> None:
    outcome = aethex("token", command, token_id)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        f"Error: There is no token {token_id}: `aethex token list` shows them.\n"
    )


# --- help -----------------------------------------------------------------------------------------


def test_help_says_what_each_does(aethex: Commands) -> None:
    alone, asked = aethex("token"), aethex("token", "--help")
    assert asked.code == 0
    for outcome in (alone, asked):
        shown = " ".join((outcome.stdout + outcome.stderr).split())
        assert "Server tokens, by which backends send events." in shown
        for command in ("create", "list", "rotate", "revoke"):
            assert command in shown
    for command, words in {
        "create": ("Make a token and print it, once", "--channel", "--platform"),
        "list": ("Show all tokens",),
        "rotate": ("the old one stays good for a while", "--overlap-hours", "24"),
        "revoke": ("for ever", "within five seconds"),
    }.items():
        shown = " ".join(aethex("token", command, "--help").stdout.split())
        for word in words:
            assert word in shown, (command, word)
