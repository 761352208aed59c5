"""`aethex pipeline refresh`: run what is due now.

What belongs here: arguments, progress, the report. What does not: what is due and how it runs
(aethex/pipelines/refresh.py).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from aethex.commands.terminal import output, print_json_line, print_report, progress_bar
from aethex.settings import get_settings

app = typer.Typer(help="Run the pipeline by hand.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `refresh` a command of its own while it is the only one."""


@app.command()
def refresh(
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the report as one line of JSON, the last of stdout."),
    ] = False,
) -> None:
    """Publish what has landed, compute the numbers that are due, and return when they are shown.

    Dagster does the same every hour and after each publish; a refresh by hand appears among its
    runs.
    """
    with progress_bar() as tell:
        tell("Starting", None)
        from aethex.library import upgrade
        from aethex.pipelines.instance import prepare_storage
        from aethex.pipelines.refresh import refresh as run_refresh
        from aethex.postgres import start_embedded

        settings = get_settings()
        with start_embedded(settings):
            upgrade(settings)
            prepare_storage(settings)
            report = run_refresh(settings, lambda text: tell(text, None))
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
