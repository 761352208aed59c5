"""`aethex import viewers|segments|video`: bring in one's own data.

What belongs here: arguments, progress, reports as tables or JSON. What does not: reading and storing
(aethex/imports.py).
"""

from __future__ import annotations

import typer

app = typer.Typer(help="Bring in viewer counts, segments and videos.", no_args_is_help=True)
