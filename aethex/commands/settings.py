"""`aethex settings`: every setting with its value, default and meaning; also docs/settings.md.

What belongs here: showing settings. What does not: what they are (aethex/settings).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.padding import Padding
from rich.text import Text

from aethex.commands.terminal import output, print_json_line
from aethex.settings import PROJECT_DIR, Settings, get_settings

_INTRODUCTION = """\
# Settings

Each is read from the environment, or from a file `.env` in the project's folder (`NAME=value` a
line); the environment wins. `aethex settings` lists them with the values in force.

| name | default | meaning |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class SettingRow:
    """One setting as text; secrets and passwords are masked."""

    name: str
    value: str
    default: str
    meaning: str


def setting_rows(settings: Settings | None) -> Iterator[SettingRow]:
    """All settings in the order of their declaration. Without `settings` values are left empty."""
    for name, field in Settings.model_fields.items():
        yield SettingRow(
            name=f"AETHEX_{name.upper()}",
            value="" if settings is None else _text(getattr(settings, name)),
            default=_text(field.get_default()),
            meaning=" ".join((field.description or "").split()),
        )


def settings_markdown() -> str:
    """The page docs/settings.md: it holds no value of this machine."""
    rows = setting_rows(None)
    lines = [f"| `{row.name}` | {_code(row.default)} | {row.meaning} |\n" for row in rows]
    return _INTRODUCTION + "".join(lines)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Path) and value.is_relative_to(PROJECT_DIR):
        return str(value.relative_to(PROJECT_DIR))
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", str(value))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def add_commands(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.command("settings")(show)


def show(
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print the page docs/settings.md (defaults, no values)."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON: name to value.")
    ] = False,
) -> None:
    """List every setting: its name, value, default and meaning. Secrets are masked."""
    if markdown:
        typer.echo(settings_markdown(), nl=False)
        return
    rows = list(setting_rows(get_settings()))
    if as_json:
        print_json_line({row.name: row.value or None for row in rows})
        return
    for row in rows:
        is_default = row.value == row.default
        value = Text(
            row.value or "not set", style="dim" if is_default or not row.value else "green"
        )
        note = (
            Text(f"   default {row.default}", style="dim")
            if row.default and not is_default
            else Text()
        )
        output.print(Text(row.name, style="bold") + Text("  ") + value + note, soft_wrap=True)
        output.print(Padding(Text(row.meaning), (0, 0, 0, 4)))
