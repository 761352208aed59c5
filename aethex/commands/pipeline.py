"""`aethex pipeline …`: run what is due, or the maintenance, now.

What belongs here: arguments, progress, the report. What does not: what is due and how it runs
(aethex/pipelines).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from aethex.commands.opening import open_database
from aethex.commands.terminal import (
    errors,
    output,
    print_json_line,
    print_report,
    progress_bar,
)
from aethex.settings import Settings, get_settings

if TYPE_CHECKING:
    from aethex.pipelines.maintain import MaintenanceReport
    from aethex.pipelines.runs import Progress

app = typer.Typer(help="Run the pipeline by hand.", no_args_is_help=True)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the report as one line of JSON, the last of stdout.")
]


@app.command()
def refresh(as_json: AsJson = False) -> None:
    """Publish what has landed, compute the numbers that are due, and return when they are shown.

    Dagster does the same every 5 minutes; a refresh by hand appears among its runs.
    """
    with _prepared() as (settings, tell):
        from aethex.pipelines.refresh import refresh as run_refresh

        report = run_refresh(settings, tell)
    if as_json:
        print_json_line(asdict(report))
        return
    print_report(
        "Refreshed" if report.is_new_build else "Nothing was due",
        {
            "windows published": report.windows_published,
            "rows published": report.rows_published,
            "duplicates left out": report.duplicates,
            "records changed": report.records_changed,
            "days computed": report.days_computed,
            "rows computed": report.rows_computed,
            "data up to": report.fresh_until,
            "build": report.build_id,
        },
    )
    output.print(f"[dim]{report.seconds:.1f} s[/]")


@app.command()
def maintain(as_json: AsJson = False) -> None:
    """Make small files few and sorted, expire past states, delete what nothing needs any more.

    Dagster does the same every hour; a maintenance by hand appears among its runs. It ends with 1
    when a window of landing is not proven to be published, and names it.
    """
    with _prepared() as (settings, tell):
        from aethex.pipelines.maintain import maintain as run_maintenance

        report = run_maintenance(settings, tell)
    if as_json:
        print_json_line(asdict(report))
    else:
        _print_maintenance(report)
    if report.failed_checks:
        why = report.landing_stopped or f"checks failed: {', '.join(report.failed_checks)}"
        errors.print(f"[bold red]Error:[/] {escape(why)}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def _print_maintenance(report: MaintenanceReport) -> None:
    print_report(
        "Maintained" if report.is_done else "Maintained as far as time allowed",
        {
            "files": f"{report.files_before:,} to {report.files_after:,}",
            "rows": report.rows,
            "groups compacted": report.groups_compacted,
            "past states expired": report.snapshots_expired,
            "past builds expired": report.builds_expired,
            "files deleted": report.files_deleted,
            "bytes freed": report.bytes_deleted,
            "windows cleaned up": report.windows_cleaned,
            "landing objects deleted": report.landing_objects_deleted,
            "quarantine objects deleted": report.quarantine_objects_deleted,
        },
    )
    output.print(f"[dim]{report.seconds:.1f} s[/]")


@contextmanager
def _prepared() -> Iterator[tuple[Settings, Progress]]:
    """The settings with everything there that a run needs, and what tells its progress."""
    with progress_bar() as tell:
        tell("Starting", None)
        from aethex.pipelines.instance import prepare_storage

        settings = get_settings()
        with open_database(settings):
            prepare_storage(settings)
            yield settings, lambda text: tell(text, None)
