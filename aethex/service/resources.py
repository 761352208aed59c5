"""What requests need, opened when the service starts and closed when it stops.

What belongs here: holding the library, the store, the marts' reader, ingest, the tokens and the
static files. What does not: what a route does with them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from aethex.library import Library
from aethex.library.passwords import Passwords
from aethex.service.collector import Collector
from aethex.service.csrf_tokens import CsrfTokens
from aethex.service.hashing import BoundedPasswords
from aethex.service.inbox import Inbox
from aethex.service.ingest.ingest import Ingest
from aethex.service.ingest.senders import Senders
from aethex.service.ingest.viewers import ViewerIds
from aethex.service.marts import Marts
from aethex.service.media_tokens import MediaTokens
from aethex.service.metrics import Metrics
from aethex.service.oidc import Oidc
from aethex.service.outbox import OutboxDrain
from aethex.service.secret import service_key
from aethex.service.static_files import StaticFiles
from aethex.service.throttle import Throttle
from aethex.settings import Settings
from aethex.store import Store, open_store


@dataclass(frozen=True)
class Resources:
    """One of each, shared by all requests; every one is safe to use from several threads."""

    settings: Settings
    library: Library
    store: Store
    marts: Marts
    metrics: Metrics
    ingest: Ingest
    outbox: OutboxDrain
    collector: Collector
    inbox: Inbox
    senders: Senders
    viewers: ViewerIds
    csrf: CsrfTokens
    passwords: BoundedPasswords
    throttle: Throttle
    oidc: Oidc | None
    """None: no issuer is configured."""
    tokens: MediaTokens
    static: StaticFiles


@contextmanager
def open_resources(settings: Settings) -> Iterator[Resources]:
    """Resources for one service. Neither the database nor the store need to answer yet."""
    store = open_store(settings)
    marts = Marts(settings, store)
    metrics = Metrics()
    key = service_key(settings)
    viewers = ViewerIds(key)
    oidc = Oidc.from_settings(settings, key)
    try:
        with Library.open(settings) as library:
            yield Resources(
                settings=settings,
                library=library,
                store=store,
                marts=marts,
                metrics=metrics,
                ingest=Ingest(settings, store, library, metrics),
                outbox=OutboxDrain(library, store, metrics),
                collector=Collector(settings, library, store, metrics),
                inbox=Inbox(library),
                senders=Senders(library, viewers, settings),
                viewers=viewers,
                csrf=CsrfTokens(key),
                passwords=BoundedPasswords(Passwords(settings.password_memory_bytes)),
                throttle=Throttle(library, key),
                oidc=oidc,
                tokens=MediaTokens.from_settings(settings),
                static=StaticFiles(),
            )
    finally:
        if oidc is not None:
            oidc.close()
        marts.close()


def resources_of(connection: HTTPConnection) -> Resources:
    """The resources of the service that this request came to."""
    return connection.app.state.resources


@asynccontextmanager
async def working(resources: Resources) -> AsyncIterator[None]:
    """What the service does beside answering: flushing events, draining the outbox, collecting,
    ending streams, applying webhooks.
    """
    async with (
        resources.ingest.running(),
        resources.outbox.running(),
        resources.collector.running(),
        resources.inbox.running(),
    ):
        yield
