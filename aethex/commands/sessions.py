"""The library for commands: the embedded server is started where it is needed, and the tables are
brought up to date.

What belongs here: opening it. What does not: any command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aethex.settings import Settings

if TYPE_CHECKING:
    from aethex.library import Library


@contextmanager
def open_library(settings: Settings) -> Iterator[Library]:
    """The library of these settings while the block lasts."""
    from aethex.library import Library, upgrade
    from aethex.postgres import start_embedded

    with start_embedded(settings):
        upgrade(settings)
        with Library.open(settings) as library:
            yield library
