"""A real Chromium for browser tests: the machine's own, else the one that playwright installed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

from aethex.settings import PROJECT_DIR

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
    """A headless browser without a profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**_options())
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def profile(browser: Browser, folder: Path) -> Generator[BrowserContext]:
    """Another browser, with a profile in this folder. In it pages in frames of other sites have
    storage, one for each site that frames them; without a profile they have none. It keeps pages
    for going back, which a browser under test does not do by itself: go back with
    `page.go_back(wait_until="commit")`, as a kept page loads nothing.
    """
    (folder / "Default").mkdir()
    allowing = {"profile": {"cookie_controls_mode": 0}}
    (folder / "Default" / "Preferences").write_text(json.dumps(allowing))
    options = _options()
    # in place of playwright's own list, which has this separation of storage in it
    options["args"].append("--disable-features=Translate")
    context = browser.browser_type.launch_persistent_context(
        folder, ignore_default_args=["--disable-back-forward-cache"], **options
    )
    try:
        yield context
    finally:
        context.close()


def _options() -> dict[str, Any]:
    """As root it runs without Chromium's own sandbox."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": found, "args": [*_ARGUMENTS, *as_root], "headless": True}


def axe_path() -> Path:
    """The accessibility checker among the project's npm packages; a test without it is skipped."""
    path = PROJECT_DIR / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip(f"no axe-core at {path}")
    return path


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
        # The browser itself gives up what nobody wants any more: a segment when somebody seeks away
        # from it, whatever a page was loading or telling when it is left. No server failed then.
        if request.failure != "net::ERR_ABORTED":
            self.append(f"failed: {request.url} ({request.failure})")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.append(f"{message.type}: {message.text}")
