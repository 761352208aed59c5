"""What requests need, opened when the service starts and closed when it stops.

What belongs here: holding the library, the store, the marts' reader, the tokens and the static
files. What does not: what a route does with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from aethex.library import Library
from aethex.service.marts import Marts
from aethex.service.media_tokens import MediaTokens
from aethex.service.static_files import StaticFiles
from aethex.settings import Settings
from aethex.store import Store, open_store


@dataclass(frozen=True)
class Resources:
    """One of each, shared by all requests; every one is safe to use from several threads."""

    settings: Settings
    library: Library
    store: Store
    marts: Marts
    tokens: MediaTokens
    static: StaticFiles


@contextmanager
def open_resources(settings: Settings) -> Iterator[Resources]:
    """Resources for one service. Neither the database nor the store need to answer yet."""
    store = open_store(settings)
    marts = Marts(settings, store)
    try:
        with Library.open(settings) as library:
            yield Resources(
                settings=settings,
                library=library,
                store=store,
                marts=marts,
                tokens=MediaTokens.from_settings(settings),
                static=StaticFiles(),
            )
    finally:
        marts.close()


def resources_of(connection: HTTPConnection) -> Resources:
    """The resources of the service that this request came to."""
    return connection.app.state.resources
