"""The real application on a real Postgres and a folder store: in process, or as a site for a
browser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from aethex.library import Library
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store, open_store
from tests.postgres_server import PostgresForTests
from tests.service.collecting import Collectors
from tests.service.site import import_source, listening, make_source, serving_site
from tests.service.watching import PlayerSite, pages_elsewhere


class Client:
    """Requests to an application in process, for tests that are no coroutines.

    An error in a route is an answer, as it is for everybody. Cookies are not kept.
    """

    def __init__(self, portal: BlockingPortal, http: httpx.AsyncClient) -> None:
        self._portal = portal
        self._http = http

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._portal.call(lambda: self._http.request(method, path, **options))
        self._http.cookies.clear()
        return answer

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Any) -> httpx.Response:
        return self.request("OPTIONS", path, **options)


@contextmanager
def serving(app: FastAPI) -> Iterator[Client]:
    """The started application; it is stopped afterwards."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        portal.wrap_async_context_manager(
            httpx.AsyncClient(transport=transport, base_url="http://aethex.test")
        ) as http,
    ):
        yield Client(portal, http)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client of the service with the test's settings."""
    with serving(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="session")
def player_site(
    postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlayerSite]:
    """A running service with one real VOD, which takes events from pages elsewhere too."""
    source = make_source(tmp_path_factory.mktemp("source") / "source.mp4")
    with (
        postgres.fresh_database() as database_url,
        listening() as (held, url),
        pages_elsewhere() as elsewhere,
    ):
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path_factory.mktemp("site"),
            database_url=database_url,
            public_url=url,
            cors_origins=(elsewhere.url, elsewhere.other_url),
            events_flush_ms=0,
        )
        report = import_source(settings, source)
        with serving_site(settings, held), Library.open(settings) as library:
            vod = httpx.get(f"{url}/api/vods/{report.vod_id}").json()
            yield PlayerSite(
                url,
                report.vod_id,
                report.channel_id,
                vod["mp4_url"],
                open_store(settings),
                library,
                elsewhere,
                settings,
            )


@pytest.fixture
def collectors(settings: Settings, library: Library, folder_store: Store) -> Collectors:
    """Collectors of the test's platform."""
    return Collectors(settings, library, folder_store)
