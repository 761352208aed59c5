"""`aethex recorder`: live streams become VODs while they run; and what is recorded now.

What belongs here: logging to the terminal, and showing the status. What does not: recording and
the verdict (aethex/workers/recorder).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_library
from aethex.commands.terminal import output, print_table
from aethex.settings import get_settings

if TYPE_CHECKING:
    from aethex.workers.recorder.spool import SpooledSegment
    from aethex.workers.recorder.status import InputStatus

app = typer.Typer(invoke_without_command=True)

_COLORS = {"recorded": "green", "not recorded": "bold red", "awaited": "yellow"}


@app.callback()
def recorder(context: typer.Context) -> None:
    """Record live streams until it is stopped: RTMP that is pushed to AETHEX_RTMP_PORT, and inputs
    that are pulled.

    `aethex up` runs it. Without inputs it costs next to nothing.
    """
    if context.invoked_subcommand is not None:
        return
    import asyncio
    import logging

    from aethex.workers.recorder.process import record

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(record(get_settings()))


@app.command()
def status() -> None:
    """Show what is recorded now and by which recorder, and which inputs wait for an encoder.

    It ends with 1 when a live stream that should be recorded is not.
    """
    from aethex.library import captures, recording_now
    from aethex.workers.recorder.spool import waiting_in
    from aethex.workers.recorder.status import statuses

    settings = get_settings()
    with open_library(settings) as library, library.session() as s:
        found = recording_now.inputs_now(s, settings)
        to_finish = len(captures.to_finish(s))
    waiting = waiting_in(settings.recorder_dir)
    all_of_them = statuses(found, waiting, settings, datetime.now(UTC))
    _show_live([one for one in all_of_them if one.now.stream is not None])
    _show_idle([one for one in all_of_them if one.state == "idle"])
    _show_rest(waiting, to_finish)
    if any(one.state == "not recorded" for one in all_of_them):
        raise typer.Exit(1)


def _show_live(found: Sequence[InputStatus]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("live", "input", "channel", "since", "last segment", "state", "by"):
        table.add_column(heading, no_wrap=heading in ("since", "state"), overflow="fold")
    for one in found:
        stream = one.now.stream
        assert stream is not None
        color = _COLORS.get(one.state, "dim")
        table.add_row(
            stream.id,
            one.now.input.id,
            f"@{one.now.username}",
            _time(one.now.connected_at or stream.started_at),
            _time(one.last_segment_at),
            f"[{color}]{one.state}[/]",
            escape(one.why),
        )
    print_table(table, "No stream is live.")


def _show_idle(found: Sequence[InputStatus]) -> None:
    if not found:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("waits for an encoder", "channel", "provider", "name", "note"):
        table.add_column(heading, overflow="fold")
    for one in found:
        of = one.now.input
        table.add_row(of.id, f"@{one.now.username}", of.provider, escape(of.name), escape(one.why))
    output.print()
    print_table(table)


def _show_rest(waiting: Sequence[SpooledSegment], to_finish: int) -> None:
    size_bytes = sum(segment.bytes for segment in waiting)
    output.print(
        f"\n{len(waiting):,} closed segments ({size_bytes:,} bytes) wait on this machine's disk; "
        f"{to_finish:,} VODs wait for being finished.",
        soft_wrap=True,
    )


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""
