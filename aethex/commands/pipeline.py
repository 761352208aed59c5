"""`aethex pipeline refresh`: run what is due now.

What belongs here: arguments, progress, the report. What does not: what is due and how it runs
(aethex/pipelines/refresh.py).
"""

from __future__ import annotations

import typer

app = typer.Typer(help="Run the pipeline by hand.", no_args_is_help=True)
