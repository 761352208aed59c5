"""The command `aethex`: one Typer application and the edge where errors become one line.

What belongs here: which commands there are, and what a failure prints and returns. What does not:
the commands themselves (aethex/commands), which import the heavy rooms only when they run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from aethex.commands import (
    accounts,
    bucket,
    forgetting,
    importing,
    jobs,
    live_inputs,
    pipeline,
    platform,
    recording,
    settings,
    simulating,
    tokens,
    vods,
    webhooks,
)
from aethex.commands.failures import one_line
from aethex.commands.terminal import errors

app = typer.Typer(
    name="aethex",
    help="AeThex Creator Tools: VODs, clips and analytics around live streams.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(importing.app, name="import")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(tokens.app, name="token")
app.add_typer(live_inputs.app, name="inputs")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(jobs.app, name="jobs")
app.add_typer(recording.app, name="recorder")
app.add_typer(bucket.app, name="bucket")
app.add_typer(vods.app, name="vods")
platform.add_commands(app)
simulating.add_commands(app)
accounts.add_commands(app)
forgetting.add_commands(app)
settings.add_commands(app)

_is_debug = False


@app.callback()
def _options(
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="AETHEX_DEBUG", help="Show the whole traceback of an error."
        ),
    ] = False,
) -> None:
    global _is_debug
    _is_debug = debug


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted.

    A failure prints one line to stderr that says what is wrong and what to do.
    """
    global _is_debug
    _is_debug = False
    try:
        app(list(arguments), prog_name="aethex", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        if _is_debug:
            raise
        errors.print(f"[bold red]Error:[/] {one_line(error)}", highlight=False, soft_wrap=True)
        return 1
    return 0


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))
