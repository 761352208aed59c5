"""`aethex recorder`: live streams become VODs while they run.

What belongs here: logging to the terminal. What does not: recording (aethex/workers/recorder).
"""

from __future__ import annotations

import typer

from aethex.settings import get_settings


def add_commands(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.command("recorder")(recorder)


def recorder() -> None:
    """Record live streams until it is stopped: RTMP that is pushed to AETHEX_RTMP_PORT, and inputs
    that are pulled.

    `aethex up` runs it. Without inputs it costs next to nothing.
    """
    import asyncio
    import logging

    from aethex.workers.recorder.process import record

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(record(get_settings()))
