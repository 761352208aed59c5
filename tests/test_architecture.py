"""The picture of the house and the house are the same."""

from __future__ import annotations

import tomllib

from aethex.settings import PROJECT_DIR

PAGE = (PROJECT_DIR / "docs" / "architecture.md").read_text()


def rooms() -> set[str]:
    """Packages and modules right below aethex/."""
    package = PROJECT_DIR / "aethex"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    return folders | {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}


def layers() -> list[list[str]]:
    """The linter's layers, highest first."""
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def test_every_room_is_on_the_page():
    table = PAGE.partition("## Rooms")[2].partition("## Layers")[0]
    named = {
        part.strip("` ").removesuffix("/").removesuffix(".py")
        for row in table.splitlines()
        if row.startswith("| `")
        for part in row.split("|")[1].split(",")
    }
    assert named == rooms()


def test_the_pages_layers_are_the_linters():
    drawn = PAGE.partition("## Layers")[2].partition("`pyproject.toml`")[0]
    order = [room for layer in layers() for room in layer]
    lines = [line.strip() for line in drawn.splitlines() if line.startswith("    ")]
    shown = [line.split("  ")[0].replace("►", "│").replace("─", "").split("│") for line in lines]
    flat = [room.strip() for line in shown for room in line]
    assert flat == [room for room in order if room in flat]
    assert set(order) - set(flat) == {"__main__"}


def test_every_room_is_in_a_layer():
    assert rooms() | {"__main__"} == {room for layer in layers() for room in layer}
