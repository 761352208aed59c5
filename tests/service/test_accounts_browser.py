"""Accounts in a real browser, on a phone: signing up to signing out, with and without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.postgres_server import PostgresForTests
from tests.service.judging import judged
from tests.service.site import own_site, serving_site

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def site(postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service without content."""
    folder = tmp_path_factory.mktemp("site")
    with (
        own_site(postgres, folder) as (settings, held),
        serving_site(settings, held),
    ):
        yield settings.effective_public_url


def sign_up(page: Page, site: str, username: str) -> None:
    page.goto(site)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Display name").fill(f"{username.title()} of a rather long family name")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url(f"{site}/")


def test_a_double_click_makes_one_account_and_signs_in(browser: Browser, site: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site}/sign-up")
        page.get_by_label("Username").fill("twice")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign up").dblclick()
        page.wait_for_url(f"{site}/")
        expect(page.locator(".account summary")).to_contain_text("twice")


def test_the_bar_fits_at_any_width_also_with_a_long_name(browser: Browser, site: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        sign_up(page, site, "marguerite")
        too_wide = []
        for width in range(320, 1300, 20):
            page.set_viewport_size({"width": width, "height": 600})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                too_wide.append(width)
        assert too_wide == []


def from_menu(page: Page, name: str) -> None:
    page.locator(".account summary").click()
    page.locator(".account-menu").get_by_text(name, exact=True).click()


@pytest.mark.parametrize(
    ("width", "has_scripts", "scheme"), [(390, True, "dark"), (360, False, "light")]
)
def test_from_signing_up_to_signing_out(
    browser: Browser, site: str, width: int, has_scripts: bool, scheme: str
) -> None:
    username = f"ada{width}"
    with browser.new_context(
        viewport={"width": width, "height": 800},
        java_script_enabled=has_scripts,
        color_scheme="dark" if scheme == "dark" else "light",
    ) as context:
        page = context.new_page()
        sign_up(page, site, username)
        from_menu(page, "Settings")
        expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()

        page.get_by_label("Display name").fill("Ada")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#profile [role=status]")).to_have_text("Saved")
        page.get_by_role("button", name="Create your channel").click()
        expect(page.locator("#channels")).to_contain_text(f"@{username}")
        page.get_by_label("Present password").fill("not the password")
        page.get_by_label("New password").fill("another password")
        page.get_by_role("button", name="Change the password").click()
        expect(page.locator("#present-error")).to_have_text("That is not your present password.")

        page.locator(".account summary").click()
        if has_scripts:
            assert judged(page, width) == []
        page.get_by_role("button", name="Sign out", exact=True).click()
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        page.goto(f"{site}/settings")
        page.get_by_role("main").get_by_role("link", name="Sign in").click()
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{site}/settings")


def test_the_forms_suit_everybody(browser: Browser, site: str) -> None:
    wrong = {}
    for width, scheme in ((360, "light"), (1440, "dark")):
        with browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
        ) as context:
            page = context.new_page()
            for path in ("/sign-in", "/sign-up", "/settings"):
                page.goto(site + path)
                wrong[width, path] = judged(page, width)
            page.goto(f"{site}/sign-up")
            page.evaluate("document.querySelector('main form').noValidate = true")
            page.get_by_role("button", name="Sign up").click()
            expect(page.locator("#username-error")).to_be_visible()
            wrong[width, "refused"] = judged(page, width)
    assert wrong == {shown: [] for shown in wrong}
