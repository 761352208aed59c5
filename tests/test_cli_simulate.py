"""`aethex simulate` and `aethex replay`: an audience by hand, and a window sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aethex.lake import Lake, connect
from aethex.lake.event_tables import PLAYBACK_EVENTS
from aethex.lake.publish import publish
from aethex.library import Library, tokens
from aethex.settings import Settings
from tests.commands import Commands
from tests.service.measured import build
from tests.service_process import free_port, running_service


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """A running service's."""
    with running_service(settings) as service:
        yield service.url


@pytest.fixture
def aethex(settings: Settings) -> Commands:
    return Commands(settings.data_dir, settings.database_url)


def simulated(aethex: Commands, address: str, *more: object) -> dict[str, object]:
    outcome = aethex(
        *("simulate", "--viewers", 12, "--minutes", 8, "--seed", 7, "--speed", 0),
        *("--url", address, "--json", *more),
    )
    assert outcome.code == 0, outcome.stderr
    return outcome.report


def test_the_numbers_of_a_simulated_audience_are_its_truth(
    aethex: Commands, address: str, settings: Settings, lake: Lake, library: Library, tmp_path: Path
) -> None:
    report = simulated(aethex, address, "--truth", tmp_path / "deep" / "truth.json")
    assert report["truth"] == str(tmp_path / "deep" / "truth.json")
    truth = json.loads((tmp_path / "deep" / "truth.json").read_text())
    build(lake, library)
    with connect(settings) as con:
        rows = con.execute(
            "SELECT sessions_raw, views_raw, unique_viewers_raw, views, chat_messages, chatters "
            "FROM stream_audience WHERE stream_id = ?",
            [report["stream"]],
        ).fetchall()
    content = truth["content"][report["stream"]]
    raw, filtered = content["raw"], content["filtered"]
    assert rows == [
        (
            raw["sessions"],
            raw["views"],
            raw["unique_viewers"],
            filtered["views"],
            truth["chat"]["messages"],
            truth["chat"]["chatters"],
        )
    ]
    with library.session() as s:
        assert all(token.revoked_at for token in tokens.list_all(s))


def test_the_truth_lies_in_the_data_folder_and_the_report_says_where(
    aethex: Commands, address: str, settings: Settings
) -> None:
    outcome = aethex(
        *("simulate", "--viewers", 3, "--minutes", 2, "--speed", 0, "--url", address),
        *("--starts-at", "2026-11-20T18:00:00Z", "--channel", "gdq"),
    )
    assert outcome.code == 0, outcome.stderr
    (path,) = (settings.data_dir / "simulations").iterdir()
    assert "events accepted" in outcome.stdout
    assert path.name in outcome.stdout.replace("\n", "").replace(" ", "")
    assert "refused" not in outcome.stdout


def test_a_window_sent_again_changes_nothing(aethex: Commands, address: str, lake: Lake) -> None:
    simulated(aethex, address)
    publish(lake)
    before = lake.table(PLAYBACK_EVENTS).scan().to_arrow().num_rows
    again = aethex("replay", 1, "--url", address, "--json")
    assert again.code == 0, again.stderr
    assert again.report["events"] == {"accepted": sum(again.report["events"].values())}
    publish(lake)
    assert lake.table(PLAYBACK_EVENTS).scan().to_arrow().num_rows == before > 0


def test_what_cannot_be_done_is_said_in_one_line(
    aethex: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aethex.simulation.send.ATTEMPTS", 2)
    monkeypatch.setattr("aethex.simulation.send.PAUSE_SECONDS", 0.0)
    nobody = f"http://127.0.0.1:{free_port()}"
    command = ("simulate", "--viewers", 2, "--minutes", 1, "--speed", 0)
    for outcome, words in (
        (aethex(*command, "--url", nobody), "did not take a batch of events"),
        (aethex("replay", 9, "--url", nobody), "window 9"),
        (aethex(*command, "--channel", "No Name!", "--url", nobody), "No Name!"),
        (aethex(*command, "--starts-at", "yesterday", "--url", nobody), "yesterday"),
    ):
        assert outcome.code == 1 or outcome.code == 2
        assert words in outcome.stderr
        assert "Traceback" not in outcome.stderr
    assert settings
