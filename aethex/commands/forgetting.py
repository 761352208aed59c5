"""`aethex forget`: forget a viewer, everywhere and for ever.

What belongs here: arguments, the question, progress, the report. What does not: doing it
(`aethex/pipelines/forget.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aethex.commands.opening import open_database
from aethex.commands.terminal import errors, output, print_json_line, print_report, progress_bar
from aethex.settings import get_settings

if TYPE_CHECKING:
    from aethex.pipelines.forget import ForgetReport


def add_commands(app: typer.Typer) -> None:
    """Register this file's command."""
    app.command("forget")(forget)


def forget(
    viewer: Annotated[
        str,
        typer.Option(help="The viewer's id: vw_…, usr_…, or one that a backend gave."),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the report as one line of JSON, the last of stdout."),
    ] = False,
) -> None:
    """Forget a viewer: a random id takes the place of theirs, everywhere, and nobody can undo it.

    All numbers stay what they are. The command ends well only when a search of every object and
    table finds the id no more. Interrupted, run it again: it goes on.
    """
    from aethex.library.forgetting import valid_viewer_id

    valid_viewer_id(viewer)
    if not yes and not typer.confirm(
        "This cannot be undone, not even by us. Forget the viewer?", err=True
    ):
        errors.print("Nothing was changed.")
        raise typer.Exit(1)
    with progress_bar() as tell:
        tell("Starting", None)
        from aethex.pipelines.forget import forget_viewer

        settings = get_settings()
        with open_database(settings):
            report = forget_viewer(settings, viewer, tell)
    if as_json:
        print_json_line(asdict(report))
        return
    _show(report)


def _show(report: ForgetReport) -> None:
    if report.is_found:
        numbers = report.numbers
        print_report(
            "Forgotten: an interrupted run was finished" if report.is_resumed else "Forgotten",
            {
                **{f"rows of {name}": rows for name, rows in report.rows.items()},
                "landed events": report.landed_events,
                "refused events, emptied": report.refused_events,
                **{f"library: {name}": rows for name, rows in report.library_rows.items()},
                "past states of tables deleted": report.snapshots_expired,
                "their files deleted": report.files_deleted,
            },
        )
        print_report(
            "Proved",
            {
                "objects searched": report.objects_searched,
                "media, by key alone": report.media_objects,
                "where the id is left": 0,
                "rows of all tables, as before": sum(report.table_rows.values()),
                **{f"{name}, as before": value for name, value in numbers.items()},
            },
        )
    else:
        output.print("Nothing was found of this viewer; nothing was changed.")
    if report.others_unfinished:
        output.print(
            f"[yellow]{report.others_unfinished} other forgettings were interrupted:[/] run them "
            "again with their ids."
        )
    output.print(f"[dim]{report.seconds:.1f} s[/]")
