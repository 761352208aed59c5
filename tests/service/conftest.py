"""The real application on a real Postgres and a folder store: in process, or as a site for a
browser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from aethex.library import Channel, Library
from aethex.library.channels import ensure_channel
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store, open_store
from tests.browser import Complaints
from tests.postgres_server import PostgresForTests
from tests.service.collecting import Collectors
from tests.service.sending import Place, add_place
from tests.service.site import import_source, make_source, own_site, serving_site
from tests.service.telling import taker
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
    folder = tmp_path_factory.mktemp("site")
    with (
        pages_elsewhere() as elsewhere,
        own_site(
            postgres,
            folder,
            cors_origins=(elsewhere.url, elsewhere.other_url),
            events_flush_ms=0,
        ) as (settings, held),
    ):
        report = import_source(settings, source)
        with serving_site(settings, held), Library.open(settings) as library:
            url = settings.effective_public_url
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


@pytest.fixture
def viewport() -> ViewportSize:
    """The window that pages are shown in; a module has its own where it matters."""
    return {"width": 1280, "height": 720}


@pytest.fixture
def context(browser: Browser, viewport: ViewportSize) -> Iterator[BrowserContext]:
    """A browser's profile that nobody has used."""
    with browser.new_context(viewport=viewport) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page."""
    return context.new_page()


@pytest.fixture
def complaints(page: Page) -> Complaints:
    """What the page complains about."""
    complaints = Complaints()
    complaints.watch(page)
    return complaints


@pytest.fixture
def place(library: Library) -> Place:
    """A channel with a stream, and tokens for it."""
    return add_place(library)


@pytest.fixture
def channel(library: Library) -> Channel:
    with library.session() as s:
        return ensure_channel(s, "gdq")


@pytest.fixture
def take(settings: Settings, library: Library) -> Callable[..., None]:
    """Takes webhooks as the route does, without HTTP."""
    return taker(settings, library)
