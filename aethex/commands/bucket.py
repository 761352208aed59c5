"""`aethex bucket …`: the bucket behind the store.

What belongs here: what the terminal shows. What does not: rules and checks (`aethex.bucket`).
"""

from __future__ import annotations

import typer
from rich.markup import escape

from aethex.commands.terminal import output
from aethex.settings import get_settings

app = typer.Typer(help="The bucket behind the store: set it up, check it.", no_args_is_help=True)

_MARKS = {"good": "[green]good[/]", "bad": "[red]bad[/]", "not offered": "[yellow]not offered[/]"}


@app.command()
def init() -> None:
    """Make the bucket if it is missing, and set the lifecycle and CORS rules that are missing."""
    from aethex.bucket import init_bucket

    changes = init_bucket(get_settings())
    for change in changes:
        output.print(escape(change), soft_wrap=True)
    if not changes:
        output.print("Nothing to change: the bucket is set up.")


@app.command()
def check() -> None:
    """Try everything that the platform asks of a bucket; exits with 1 when something is bad."""
    from aethex.bucket import check_bucket

    is_bad = False
    for finding in check_bucket(get_settings()):
        is_bad |= finding.state == "bad"
        remedy = f" ({escape(finding.remedy)})" if finding.remedy else ""
        line = f"{_MARKS[finding.state]}  {finding.name}: {escape(finding.says)}{remedy}"
        output.print(line, soft_wrap=True, highlight=False)
    if is_bad:
        raise typer.Exit(1)
