"""`aethex forget`: the question, the report, the line when something is left."""

from __future__ import annotations

from io import StringIO

import pytest

from aethex.lake import Lake
from aethex.library import Library
from aethex.settings import Settings
from tests.commands import Commands
from tests.lake.forgetting import GONE, STAYS, Platform, build_platform
from tests.lake.test_forget import files_with


@pytest.fixture
def aethex(settings: Settings) -> Commands:
    return Commands(settings.data_dir, settings.database_url)


@pytest.fixture
def platform(lake: Lake, library: Library) -> Platform:
    return build_platform(lake, library, days=1)


def test_it_forgets_and_says_what_it_proved(aethex: Commands, platform: Platform) -> None:
    outcome = aethex("forget", "--viewer", GONE, "--yes", "--json")
    assert outcome.code == 0, outcome.stderr
    report = outcome.report
    assert report["is_found"]
    assert report["rows"]["playback_events"] == 9
    assert report["library_rows"] == {"users": 1, "channels": 1, "follows": 1, "outbox": 1}
    assert report["numbers"]["unique_viewers_raw"] == 2
    assert report["table_rows"]["chat_messages"] == 6
    assert report["objects_searched"] > 50
    assert files_with(platform, GONE) == []
    (new,) = platform.viewers("dim_channel_owners", "owner_id")
    for told in (outcome.stdout, outcome.stderr):
        assert GONE not in told
        assert new not in told
    again = aethex("forget", "--viewer", GONE, "--yes")
    assert again.code == 0
    assert "Nothing was found of this viewer" in again.stdout


def test_it_asks_first(
    aethex: Commands, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = files_with(platform, STAYS)
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    outcome = aethex("forget", "--viewer", STAYS)
    assert outcome.code == 1
    assert outcome.stderr.endswith("Nothing was changed.\n")
    assert "cannot be undone" in outcome.stderr
    assert files_with(platform, STAYS) == found
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    outcome = aethex("forget", "--viewer", STAYS)
    assert outcome.code == 0
    assert "watched_ms_filtered, as before" in outcome.stdout
    assert files_with(platform, STAYS) == []


def test_what_it_cannot_rewrite_is_one_line_and_nothing_changes(
    aethex: Commands, platform: Platform
) -> None:
    platform.lake.store.put("notes/of-somebody.txt", f"about {GONE}".encode())
    found = files_with(platform, GONE)
    outcome = aethex("forget", "--viewer", GONE, "--yes")
    assert outcome.code == 1
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert "first: notes/of-somebody.txt" in line
    assert GONE not in line
    assert files_with(platform, GONE) == found


def test_with_a_rest_catalog_it_refuses(settings: Settings) -> None:
    more = {"catalog_url": "http://127.0.0.1:1/catalog"}
    outcome = Commands(settings.data_dir, settings.database_url, more)(
        "forget", "--viewer", GONE, "--yes"
    )
    assert outcome.code == 1
    (line,) = outcome.stderr.splitlines()
    assert "REST catalog" in line
    assert "nothing was changed" in line


def test_a_wrong_id_is_one_line(aethex: Commands) -> None:
    outcome = aethex("forget", "--viewer", "ünknown", "--yes")
    assert outcome.code == 1
    assert outcome.stderr.splitlines() == [
        "Error: That is no viewer's id: it has 1 to 64 printable ASCII characters."
    ]
    assert aethex("forget").code == 2
