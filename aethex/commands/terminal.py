"""How commands talk: reports on stdout, progress and errors on stderr.

What belongs here: the two consoles, the progress bar, the JSON line. What does not: any command's
words.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text


class _Terminal(Console):
    """A console that shows control characters as �: names of streams come from whoever publishes,
    and an escape sequence in one would be obeyed by the terminal of who lists them.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text), **options)


# C0 without tab and line feed, DEL, C1
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

output = _Terminal()
errors = _Terminal(stderr=True)

_PIPED_WIDTH = 10_000


Stages = Callable[[str, float | None], None]
"""Called with what happens now and its share done, 0 to 1; None = no share is known."""


@contextmanager
def progress_bar() -> Iterator[Stages]:
    """One bar on stderr while the block runs; what happens now stands before it.

    On no terminal it prints nothing. It leaves no trace when the block ends.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(stage: str, share: float | None) -> None:
            total = None if share is None else 1.0
            bar.update(task, description=stage, completed=share or 0.0, total=total)

        yield tell


def print_report(title: str, rows: Mapping[str, object]) -> None:
    """A report as a two-column table: what, and how much (numbers with thousands separated)."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column("what", style="dim")
    table.add_column("value", justify="right", overflow="fold")
    for what, value in rows.items():
        table.add_row(what, _as_text(value))
    output.print(table)


def print_table(table: Table, empty: str = "") -> None:
    """A table as wide as the terminal; what is piped keeps a line a row, however long. Without rows
    the line `empty`.
    """
    if not table.row_count and empty:
        output.print(empty)
    elif output.is_terminal:
        output.print(table)
    else:
        _Terminal(file=output.file, width=_PIPED_WIDTH).print(table)


def _as_text(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape(str(value))


def print_json_line(report: Mapping[str, object]) -> None:
    """One line of JSON on stdout: the machine's form of a report. Times are ISO-8601 in UTC."""
    sys.stdout.write(json.dumps(report, default=_as_json, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def utc_text(at: datetime) -> str:
    """`2026-01-31T12:00:00Z`, with milliseconds if it has any; a time without a zone is UTC."""
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    precision = "milliseconds" if aware.microsecond else "seconds"
    return aware.isoformat(timespec=precision).replace("+00:00", "Z")


def parsed_time(text: str) -> datetime:
    """An ISO-8601 time; without a zone it is UTC. Raises typer.BadParameter."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: before year 1 or after 9999 in UTC
        raise typer.BadParameter(
            f"{text!r} is not a time: write it as 2026-01-31T18:30:00Z."
        ) from None


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return utc_text(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
