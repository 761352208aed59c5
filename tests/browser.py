"""A real Chromium for browser tests: the machine's own, else the one that playwright installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def launched_browser() -> Generator[Browser]:
    """A headless browser without a profile; as root it runs without Chromium's own sandbox."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*_ARGUMENTS, *as_root], headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


class Complaints(list[str]):
    """What a page complains about: console errors and warnings, exceptions, failed requests."""

    def watch(self, page: Page) -> None:
        """Collect from now on."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.append(f"exception: {error}"))
        page.on("requestfailed", self._fail)
        page.on(
            "response",
            lambda answer: (
                self.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
            ),
        )

    def _fail(self, request: Request) -> None:
        # a player gives up loading a segment when somebody seeks away from it
        if not (request.failure == "net::ERR_ABORTED" and "/media/" in request.url):
            self.append(f"failed: {request.url} ({request.failure})")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.append(f"{message.type}: {message.text}")
