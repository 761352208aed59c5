"""How commands talk: reports on stdout, progress and errors on stderr.

What belongs here: the two consoles, the progress bar, the JSON line. What does not: any command's words.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

output = Console()
errors = Console(stderr=True)


class Advance(Protocol):
    """Called with what is done so far and the whole, in any unit; None = not known yet."""

    def __call__(self, done: float, total: float | None = None) -> None: ...


@contextmanager
def progress_bar(description: str, *, counts: bool = False) -> Iterator[Advance]:
    """One bar on stderr while the block runs. On no terminal it prints nothing.

    `counts` shows "done/total" (rows, files) instead of a percentage.
    """
    amount: ProgressColumn = MofNCompleteColumn() if counts else TaskProgressColumn()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(description, total=None)

        def advance(done: float, total: float | None = None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def print_report(title: str, rows: Mapping[str, object]) -> None:
    """A report as a two-column table: what, and how much (numbers with thousands separated)."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column("what", style="dim")
    table.add_column("value", justify="right")
    for what, value in rows.items():
        text = (
            f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        )
        table.add_row(what, text)
    output.print(table)


def print_json_line(report: object) -> None:
    """One line of JSON on stdout: the machine's form of a report. Times are ISO-8601 text."""
    sys.stdout.write(json.dumps(report, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()
