"""The command line: help, settings, errors in one line, and imports on real files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from aethex.cli import app
from aethex.commands.settings import settings_markdown
from aethex.settings import PROJECT_DIR, Settings
from tests.commands import Commands
from tests.folders import open_folder


@pytest.fixture
def aethex(tmp_path: Path, database_url: str) -> Commands:
    return Commands(tmp_path / "data", database_url)


@pytest.fixture
def offline(tmp_path: Path) -> Commands:
    """For commands that need no database."""
    return Commands(tmp_path / "data", "postgresql://nobody@127.0.0.1:1/nothing")


def all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""

    def below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield words, command
        for name, child in getattr(command, "commands", {}).items():
            yield from below((*words, name), child)

    return below((), typer.main.get_command(app))


@pytest.mark.parametrize("words", [words for words, _ in all_commands()], ids=" ".join)
def test_every_command_has_help(offline: Commands, words: tuple[str, ...]) -> None:
    outcome = offline(*words, "--help")
    assert outcome.code == 0
    assert "Usage: aethex" in outcome.stdout


def test_every_command_and_option_says_what_it_is_for() -> None:
    for words, command in all_commands():
        assert command.help, f"aethex {' '.join(words)} has no help text"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"aethex {' '.join(words)}: {parameter.name}"


def test_help_does_not_import_the_heavy_rooms() -> None:
    code = (
        "import sys; from aethex.cli import run; run(['--help']); "
        "heavy = {'duckdb', 'polars', 'pyarrow', 'dagster', 'streamlit', 'av', 'sqlalchemy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_that_is_not_there_is_used_wrongly(offline: Commands) -> None:
    assert offline("impotr").code == 2
    assert offline("import", "viewers").code == 2


def test_settings_lists_all_with_values_and_masks_secrets(tmp_path: Path) -> None:
    secret = {"store_secret_access_key": "hunter2", "media_secret": "hunter2"}
    aethex = Commands(tmp_path / "data", "postgresql://me:hunter2@db.test/aethex", secret)
    shown = aethex("settings")
    assert shown.code == 0
    for name in Settings.model_fields:
        assert f"AETHEX_{name.upper()}" in shown.stdout
    assert "hunter2" not in shown.stdout
    values = aethex("settings", "--json")
    assert "hunter2" not in values.stdout
    assert values.report["AETHEX_DATABASE_URL"] == "postgresql://me:***@db.test/aethex"
    assert values.report["AETHEX_DATA_DIR"] == str(tmp_path / "data")


def test_the_settings_page_is_current(offline: Commands) -> None:
    assert (PROJECT_DIR / "docs" / "settings.md").read_text() == settings_markdown(), "make docs"
    assert offline("settings", "--markdown").stdout == settings_markdown()


def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path) -> None:
    outcome = Commands(tmp_path / "data", None, {"service_port": "http"})("status")
    assert outcome.code == 1
    assert outcome.stderr.count("\n") == 1
    assert "AETHEX_SERVICE_PORT" in outcome.stderr


def test_an_unreachable_database_is_one_line_that_names_the_setting(
    offline: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "viewers.csv"
    file.write_text("time,viewers\n2026-01-01T00:00:00Z,1\n")
    outcome = offline("import", "viewers", file, "--channel", "gdq", "--stream", "x")
    assert outcome.code == 1
    assert outcome.stderr.count("\n") == 1
    assert "AETHEX_DATABASE_URL" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_defect_is_one_line_and_a_traceback_on_request(
    offline: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aethex.commands.settings.setting_rows", lambda _: 1 / 0)
    outcome = offline("settings")
    assert outcome.code == 1
    assert "ZeroDivisionError" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        offline("--debug", "settings")


def test_viewers_report_counts_rows_by_what_became_of_them(
    aethex: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "viewers.csv"
    file.write_text(
        "time,viewers,chat\n"
        "2026-01-01T10:00:00,100,5\n"
        "2026-01-01T10:01:00Z,,7\n"
        "2026-01-01T10:01:00Z,120,7\n"
        "2026-01-01T11:02:00+01:00,110,6\n"
        "yesterday,110,6\n"
        "2026-01-01T10:03:00Z,-4,6\n"
    )
    where = ("--channel", "retro", "--stream", "Evening")
    outcome = aethex("import", "viewers", file, *where, "--json")
    assert outcome.code == 0, outcome.stderr
    assert len(outcome.stdout.splitlines()) == 1
    report = outcome.report
    counts = {key: report[key] for key in ("rows_read", "imported", "null_viewers", "duplicates")}
    assert counts == {"rows_read": 6, "imported": 3, "null_viewers": 1, "duplicates": 1}
    assert sum(rejected["count"] for rejected in report["rejected"].values()) == 2
    assert report["first_at"] == "2026-01-01T10:00:00Z"
    assert report["last_at"] == "2026-01-01T10:02:00Z"
    assert report["channel_id"].startswith("ch_")
    assert report["stream_id"].startswith("st_")

    shown = aethex("import", "viewers", file, *where)
    assert "rejected" in shown.stdout
    assert "yesterday" in shown.stdout


def test_a_file_without_one_good_row_fails(aethex: Commands, tmp_path: Path) -> None:
    file = tmp_path / "viewers.ndjson"
    file.write_text(json.dumps({"time": "never", "viewers": 1}) + "\n")
    outcome = aethex("import", "viewers", file, "--channel", "retro", "--stream", "x", "--json")
    assert outcome.code == 1
    assert outcome.report["imported"] == 0


def test_a_wrong_file_makes_no_channel(
    aethex: Commands, settings: Settings, tmp_path: Path
) -> None:
    from aethex.library import Library, channels

    file = tmp_path / "viewers.csv"
    file.write_text("when,how_many\n1,2\n")
    outcome = aethex("import", "viewers", file, "--channel", "retro", "--stream", "x")
    assert outcome.code == 1
    assert "--time-field" in outcome.stderr
    with Library.open(settings) as library, library.session() as s:
        assert channels.by_username(s, "retro") is None


def test_segments_of_a_stream_and_the_same_file_again(aethex: Commands, tmp_path: Path) -> None:
    file = tmp_path / "parts.csv"
    file.write_text(
        "what,game,begins,takes\n"
        "Warm-up,Just Chatting,2026-01-01 10:00,0:30:00\n"
        "The run,Cloud Runner,2026-01-01 10:25,3600\n"
    )
    fields = (
        *("--name-field", "what", "--category-field", "game"),
        *("--start-field", "begins", "--duration-field", "takes"),
    )
    where = ("--channel", "retro", "--stream", "Evening", "--json")
    first = aethex("import", "segments", file, *where, *fields)
    assert first.code == 0, first.stderr
    assert (first.report["added"], first.report["shortened"]) == (2, 1)
    again = aethex("import", "segments", file, *where, *fields)
    assert (again.report["added"], again.report["changed"], again.report["removed"]) == (0, 0, 0)


def test_a_time_that_is_none_is_used_wrongly(offline: Commands, tmp_path: Path) -> None:
    where = ("--channel", "retro", "--stream", "x")
    outcome = offline("import", "video", tmp_path / "x.mp4", *where, "--starts-at", "soon")
    assert outcome.code == 2


def test_status_of_a_platform_that_does_not_run_says_how_to_start_it(offline: Commands) -> None:
    outcome = offline("status")
    assert outcome.code == 1
    assert "make up" in outcome.stderr


def test_commands_run_without_a_platform_on_the_embedded_server() -> None:
    with open_folder() as folder:
        embedded = Commands(folder / "data", None)
        outcome = embedded("migrate")
        assert outcome.code == 0, outcome.stderr
        assert embedded("migrate").code == 0
