"""`aethex vods …`: what is done with all VODs.

What belongs here: arguments and what the terminal shows. What does not: the work
(`aethex.workers`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_library
from aethex.commands.terminal import errors, output, print_table, progress_bar
from aethex.settings import get_settings

app = typer.Typer(help="What is done with all VODs.", no_args_is_help=True)


@app.command("clean-up")
def clean_up(
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be hidden and deleted.")
    ] = False,
) -> None:
    """Hide VODs that are older than their channel keeps them, and delete those that were hidden 30
    days ago. Dagster does the same every day."""
    from aethex.store import open_store
    from aethex.workers.vod_cleanup import clean_up_vods

    settings = get_settings()
    with open_library(settings) as library, progress_bar() as tell:
        done = clean_up_vods(
            library,
            open_store(settings),
            settings,
            datetime.now(UTC),
            is_dry_run=is_dry_run,
            progress=tell,
        )
    would = "would be " if is_dry_run else ""
    for vod_id, title in done.expired.items():
        output.print(f"{would}hidden, as it is old: {escape(title)} ({vod_id})", soft_wrap=True)
    if done.purged:
        table = Table(box=None, pad_edge=False)
        for heading in ("VOD", "title", "why", "objects", "bytes"):
            table.add_column(
                heading, justify="right" if heading in ("objects", "bytes") else "left"
            )
        for one in done.purged:
            row = (one.vod_id, escape(one.title), one.reason, f"{one.objects:,}")
            table.add_row(*row, f"{one.size_bytes:,}")
        print_table(table)
    output.print(
        f"{len(done.purged)} VODs with {done.objects:,} objects ({done.size_bytes:,} bytes) "
        f"{'would be' if is_dry_run else 'are'} deleted.",
        soft_wrap=True,
    )
    for vod_id, why in done.failed.items():
        errors.print(f"{vod_id} could not be deleted: {escape(why)}", soft_wrap=True)
    if done.failed:
        raise typer.Exit(1)
