"""`aethex up`, `status`, `restart`, `migrate`, `demo`, and `run`, which supervisor uses.

What belongs here: arguments and tables. What does not: the processes (aethex/supervise), the demo's
content.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from aethex.commands.opening import open_database
from aethex.commands.terminal import output, print_table
from aethex.settings import get_settings


def add_commands(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.command("up")(up)
    app.command("status")(status)
    app.command("restart")(restart)
    app.command("migrate")(migrate)
    app.command("demo")(demo)
    app.command("run", hidden=True)(run)


def up(
    with_demo: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo", help="Make demo content at the first start (AETHEX_DEMO)."
        ),
    ] = None,
) -> None:
    """Start everything, print the addresses, and stop on Ctrl-C.

    Postgres (unless AETHEX_DATABASE_URL names one), the service, Dagster and the dashboards run
    under supervisor: one that ends is started again alone. Logs are in data/logs.
    """
    from aethex.supervise.up import up as run_platform

    settings = get_settings()
    wanted = settings.demo if with_demo is None else with_demo
    raise typer.Exit(run_platform(settings, output, with_demo=wanted))


def status() -> None:
    """Show the running processes: state, pid, how long."""
    from aethex.supervise.control import Control
    from aethex.supervise.programs import programs_of

    settings = get_settings()
    states = Control(settings).states()
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "state", "pid", "for"):
        table.add_column(heading, justify="right" if heading in ("pid", "for") else "left")
    for program in programs_of(settings):
        state = states[program.name]
        colour = "green" if state.state == "RUNNING" else "red"
        minutes, seconds = divmod(int(state.uptime_seconds), 60)
        table.add_row(
            program.name,
            f"[{colour}]{state.state.lower()}[/]",
            str(state.pid or ""),
            f"{minutes}:{seconds:02d}",
        )
    print_table(table)


def restart(
    name: Annotated[
        str, typer.Argument(help="A name that `aethex status` shows, such as service.")
    ],
) -> None:
    """Restart one process of the running platform; the others keep running."""
    from aethex.supervise.control import Control

    Control(get_settings()).restart(name)
    output.print(f"{name} was started again.")


def migrate() -> None:
    """Bring the database to this version's tables. Repeating it changes nothing; `aethex up` does
    it too.
    """
    from aethex.pipelines.instance import prepare_storage

    settings = get_settings()
    with open_database(settings):
        prepare_storage(settings)
    output.print("The database is up to date.")


def demo() -> None:
    """Make the demo content that is missing: channels, streams with viewers and chat, videos, and
    refresh.

    `aethex up` runs this at its first start. Repeating it doubles nothing.
    """
    from aethex.commands.demo_progress import load_with_progress

    load_with_progress(get_settings())


def run(name: Annotated[str, typer.Argument(help="The program.")]) -> None:
    """Become one process of the platform (what supervisord.conf calls)."""
    from aethex.supervise.programs import run_program

    run_program(name, get_settings())
