"""Signing in with an OIDC issuer in a real browser, which follows our content security policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pydantic import SecretStr

from aethex.settings import Settings
from tests.browser import Complaints
from tests.oidc_issuer import CLIENT_ID, CLIENT_SECRET, stand_in_issuer
from tests.service.site import listening, serving_site

pytestmark = pytest.mark.browser


def test_signing_in_linking_and_unlinking(
    browser: Browser, database_url: str, tmp_path: Path
) -> None:
    with stand_in_issuer() as issuer, listening() as (held, url), browser.new_context() as context:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path,
            database_url=database_url,
            public_url=url,
            password_memory_bytes=8 * 1024,
            oidc_issuer=issuer.url,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret=SecretStr(CLIENT_SECRET),
            oidc_name="Home",
        )
        issuer.person = {"sub": "1", "preferred_username": "ada", "name": "Ada L."}
        with serving_site(settings, held):
            page, complaints = context.new_page(), Complaints()
            complaints.watch(page)
            page.goto(f"{url}/sign-in?next=/settings")
            page.get_by_role("link", name="Sign in with Home").click()
            page.wait_for_url(f"{url}/settings")
            expect(page.locator(".account summary")).to_contain_text("Ada L.")
            expect(page.locator("#oidc")).to_contain_text("It is your only way to sign in")
            page.locator(".account summary").click()
            page.get_by_role("button", name="Sign out", exact=True).click()
            page.wait_for_url(f"{url}/")

            page.goto(f"{url}/sign-up")
            page.get_by_label("Username").fill("eve")
            page.get_by_label("Password").fill("correct horse battery")
            page.get_by_role("button", name="Sign up").click()
            page.wait_for_url(f"{url}/")
            issuer.person = {"sub": "2", "preferred_username": "not-eve"}
            page.goto(f"{url}/settings")
            page.get_by_role("link", name="Link your account").click()
            page.wait_for_url(f"{url}/settings?saved=oidc#oidc")
            expect(page.locator("#oidc [role=status]")).to_have_text("Saved")
            page.get_by_role("button", name="Unlink").click()
            expect(page.get_by_role("link", name="Link your account")).to_be_visible()
            assert complaints == []
