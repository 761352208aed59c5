"""What the documentation points at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from aethex.cli import app
from aethex.settings import PROJECT_DIR, Settings

PAGES = [PROJECT_DIR / "README.md", *sorted((PROJECT_DIR / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@each_page
def test_settings_that_a_page_names_exist(page: Path) -> None:
    known = {f"AETHEX_{name.upper()}" for name in Settings.model_fields} | {"AETHEX_DEBUG"}
    named = set(re.findall(r"\bAETHEX_[A-Z_]*[A-Z]\b", page.read_text()))
    # A page may name a group by its beginning, such as AETHEX_STORE_…
    unknown = {name for name in named - known if not any(k.startswith(name) for k in known)}
    assert unknown == set()


@each_page
def test_commands_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"(?:`|/bin/|^\s+)aethex ((?:[a-z-]+ ?){1,2})", page.read_text(), re.MULTILINE
    )
    root = typer.main.get_command(app)
    for words in named:
        command, commands = root, getattr(root, "commands", {})
        for word in words.split():
            if not commands:
                break
            assert word in commands, f"aethex {words}"
            command = commands[word]
            commands = getattr(command, "commands", {})
