"""Opening what commands work on: the embedded server is started where it is needed, and the tables
are brought up to date.

What belongs here: opening and closing it. What does not: any command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aethex.settings import Settings, get_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from aethex.library import Library


@contextmanager
def open_database(settings: Settings) -> Iterator[None]:
    """The database of these settings, migrated, while the block lasts."""
    from aethex.library import upgrade
    from aethex.postgres import start_embedded

    with start_embedded(settings):
        upgrade(settings)
        yield


@contextmanager
def open_library(settings: Settings) -> Iterator[Library]:
    """The library of these settings while the block lasts."""
    from aethex.library import Library

    with open_database(settings), Library.open(settings) as library:
        yield library


@contextmanager
def open_session() -> Iterator[Session]:
    """One transaction of the library, committed when the block ends without an error."""
    with open_library(get_settings()) as library, library.session() as session:
        yield session
