"""Watching in a real browser: going on where one stopped, liking, following, history, finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import delete

from aethex.library import Follow, Like, Vod, WatchProgress, watching
from tests.browser import Complaints
from tests.service.content import AT, add_vod
from tests.service.judging import axe_finds
from tests.service.people import Person, person
from tests.service.watching import PlayerSite

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('media-controller video')"
LEFT_AT = 12.0


@pytest.fixture
def site(player_site: PlayerSite) -> PlayerSite:
    """The site, where nobody has watched, liked or followed anything."""
    with player_site.library.session() as s:
        for table in (WatchProgress, Like, Follow):
            s.execute(delete(table))
    return player_site


@pytest.fixture
def mika(site: PlayerSite) -> Person:
    return person(site.library, site.settings, "mika")


@contextmanager
def opened(
    browser: Browser, site: PlayerSite, who: Person | None = None, width: int = 1440
) -> Iterator[Page]:
    """A browser of its own, of somebody who is signed in or of nobody."""
    with browser.new_context(viewport={"width": width, "height": 860}) as context:
        if who is not None:
            sign_in(context, site, who)
        yield context.new_page()


def sign_in(context: BrowserContext, site: PlayerSite, who: Person) -> None:
    name, _, secret = who.cookie.partition("=")
    context.add_cookies([{"name": name, "value": secret, "url": site.url}])


def until(holds: Callable[[], object]) -> None:
    """Until it holds; for what no event of the page tells."""
    give_up_at = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.02)


def second_of(page: Page) -> float:
    return page.evaluate(f"{VIDEO}?.currentTime ?? 0")


def ready(page: Page) -> None:
    until(lambda: page.evaluate(f"{VIDEO}?.readyState >= 2 && !{VIDEO}.seeking"))


def play_until(page: Page, second: float) -> None:
    """Play from the page's place, jump near that second, and play past it."""
    ready(page)
    page.keyboard.press("k")
    until(lambda: page.evaluate(f"!{VIDEO}.paused"))
    page.evaluate(f"{VIDEO}.currentTime = {second - 0.5}")
    until(lambda: page.evaluate(f"{VIDEO}.currentTime > {second}"))


def kept_ms(site: PlayerSite, who: Person) -> int:
    with site.library.session() as s:
        return watching.positions(s, who.id, [site.vod_id]).get(site.vod_id, 0)


def test_it_resumes_in_another_browser_at_the_second_where_it_was_left(
    browser: Browser, site: PlayerSite, mika: Person
) -> None:
    with opened(browser, site, mika) as page:
        page.goto(site.vod_url)
        expect(page.locator("#player-resume")).to_be_hidden()
        play_until(page, LEFT_AT)
        page.keyboard.press("k")
        left_at = second_of(page)
        until(lambda: abs(kept_ms(site, mika) / 1000 - left_at) < 0.01)
    with opened(browser, site, mika) as page:
        page.goto(site.url)
        card = page.get_by_role("region", name="Continue watching").get_by_role("listitem")
        expect(card.get_by_role("progressbar")).to_have_attribute(
            "aria-label", f"Watched 0:{int(left_at)} of 0:24"
        )
        card.get_by_role("link", name="The last boss").click()
        ready(page)
        until(lambda: abs(second_of(page) - left_at) < 0.1)
        expect(page.locator("#player-resume")).to_contain_text(f"Resumes at 0:{int(left_at)}")
        page.get_by_role("button", name="Start from the beginning").click()
        until(lambda: page.evaluate(f"!{VIDEO}.paused && {VIDEO}.currentTime < 5"))
        expect(page.locator("#player-resume")).to_be_hidden()
        page.goto(f"{site.vod_url}?t=3")
        until(lambda: abs(second_of(page) - 3) < 0.2)
        expect(page.locator("#player-resume")).to_be_hidden()


def test_leaving_the_page_while_it_plays_keeps_the_place(
    browser: Browser, site: PlayerSite, mika: Person
) -> None:
    with opened(browser, site, mika) as page:
        page.goto(site.vod_url)
        play_until(page, LEFT_AT)
        before = second_of(page)
        page.goto(f"{site.url}/history")
        until(lambda: kept_ms(site, mika) / 1000 >= before)
        page.reload()
        expect(page.get_by_role("link", name="Resume The last boss")).to_be_visible()


def test_without_an_account_the_place_is_kept_in_this_browser_only(
    browser: Browser, site: PlayerSite
) -> None:
    with opened(browser, site) as page:
        page.goto(site.vod_url)
        play_until(page, LEFT_AT)
        page.keyboard.press("k")
        left_at = second_of(page)
        page.goto(site.vod_url)
        until(lambda: abs(second_of(page) - left_at) < 0.1)
        page.evaluate(f"{VIDEO}.currentTime = 0")
        play_until(page, 23.2)  # watched: next time from the beginning
        page.keyboard.press("k")
        page.goto(site.vod_url)
        ready(page)
        assert second_of(page) == 0
    with opened(browser, site) as page:
        page.add_init_script("Object.defineProperty(navigator, 'doNotTrack', {value: '1'})")
        page.goto(site.vod_url)
        play_until(page, LEFT_AT)
        page.keyboard.press("k")
        page.goto(site.vod_url)
        ready(page)
        assert second_of(page) == 0, "who wishes not to be tracked leaves nothing"


def test_liking_and_following_answer_at_once_and_last(
    browser: Browser, site: PlayerSite, mika: Person
) -> None:
    with opened(browser, site, mika) as page:
        page.goto(site.vod_url)
        like = page.get_by_role("button", name="Like", exact=True)
        follow = page.get_by_role("button", name="Follow gdq")
        like.focus()
        page.keyboard.press("Enter")
        follow.focus()
        page.keyboard.press(" ")
        for button in (like, follow):
            expect(button).to_have_attribute("aria-pressed", "true")
        with site.library.session() as s:
            until(lambda: s.query(Like).count() == 1 and s.query(Follow).count() == 1)
        page.reload()
        for button in (like, follow):
            expect(button).to_have_attribute("aria-pressed", "true")
        page.goto(f"{site.url}/channel/gdq/vods")
        on_card = page.get_by_role("button", name="Like The last boss")
        expect(on_card).to_have_attribute("aria-pressed", "true")
        on_card.click()
        with site.library.session() as s:
            until(lambda: s.query(Like).count() == 0)


def test_a_like_that_fails_is_taken_back_with_a_word(
    browser: Browser, site: PlayerSite, mika: Person
) -> None:
    with opened(browser, site, mika) as page:
        page.goto(site.vod_url)
        page.route("**/like", lambda route: route.abort())
        like = page.get_by_role("button", name="Like", exact=True)
        like.click()
        expect(page.get_by_role("status").filter(has_text="not done")).to_be_visible()
        expect(like).to_have_attribute("aria-pressed", "false")


def test_who_is_not_signed_in_is_led_to_sign_in_and_back(
    browser: Browser, site: PlayerSite
) -> None:
    with opened(browser, site) as page:
        page.goto(site.vod_url)
        for name in ("Sign in to like", "Sign in to follow gdq"):
            link = page.get_by_role("link", name=name, exact=True)
            expect(link).to_have_attribute("href", f"/sign-in?next=%2Fvods%2F{site.vod_id}")
        answer = page.request.get(f"{site.url}/history", max_redirects=0)
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in?next=%2Fhistory")


def test_the_history_is_kept_by_keyboard_alone(
    browser: Browser, site: PlayerSite, mika: Person
) -> None:
    with site.library.session() as s:
        for n in range(2):
            made = add_vod(site.library, site.store, username="other", title=f"Seen {n}")
            vod = s.get_one(Vod, made.id)
            watching.save(s, mika.id, vod, 5_000, AT + timedelta(hours=n), AT + timedelta(days=1))
    with opened(browser, site, mika) as page:
        page.goto(f"{site.url}/history")
        titles = page.get_by_role("main").get_by_role("heading", level=2)
        expect(titles).to_have_text(["Seen 1", "Seen 0"])
        page.get_by_role("button", name="Remove Seen 1 from the history").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Removed 1 VOD from your history")
        expect(titles).to_have_text(["Seen 0"])
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        page.keyboard.press("Enter")
        expect(titles).to_have_text(["Seen 1", "Seen 0"])
        page.get_by_role("button", name="Clear all").press("Enter")
        expect(page.get_by_text("Nothing watched yet")).to_be_visible()
        page.get_by_role("button", name="Undo").press("Enter")
        expect(titles).to_have_text(["Seen 1", "Seen 0"])


def test_a_double_click_clears_the_history_once_and_it_can_be_undone(
    browser: Browser, site: PlayerSite, mika: Person
) -> None:
    with site.library.session() as s:
        watching.save(s, mika.id, s.get_one(Vod, site.vod_id), 12_000, AT, AT + timedelta(days=1))
    with opened(browser, site, mika) as page:
        page.goto(f"{site.url}/history")
        page.get_by_role("button", name="Clear all").dblclick()
        expect(page.get_by_text("Nothing watched yet")).to_be_visible()
        page.get_by_role("button", name="Undo").dblclick()
        expect(page.get_by_role("link", name="Resume The last boss")).to_be_visible()


def test_what_is_typed_is_found_while_it_is_typed(browser: Browser, site: PlayerSite) -> None:
    complaints = Complaints()
    with opened(browser, site) as page:
        complaints.watch(page)
        for title in ("A race", "A castle"):
            add_vod(site.library, site.store, username="finder", title=title)
        page.goto(f"{site.url}/channel/finder/vods")
        titles = page.locator("#results").get_by_role("heading", level=3)
        expect(titles).to_have_count(2)
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("cas")
        expect(titles).to_have_text(["A castle"])
        expect(page.get_by_role("status").first).to_have_text("1 VOD for “cas”")
        assert page.url.endswith("?q=cas")
        page.keyboard.press("Escape")
        expect(titles).to_have_count(2)
        page.get_by_role("link", name="List").click()
        expect(page.locator("ul.as-list")).to_be_visible()
        page.goto(f"{site.url}/channel/finder/vods?q=race")
        expect(page.locator("ul.as-list")).to_be_visible()
    assert complaints == []


@pytest.mark.parametrize("width", [360, 1440])
def test_pages_of_who_is_signed_in_have_nothing_serious_and_nothing_overflows(
    browser: Browser, site: PlayerSite, mika: Person, width: int
) -> None:
    made = add_vod(site.library, site.store, username="other", title="Half seen " * 9)
    with site.library.session() as s:
        watching.save(s, mika.id, s.get_one(Vod, made.id), 8_000, AT, AT)
        watching.save(s, mika.id, s.get_one(Vod, site.vod_id), 12_000, AT, AT)
    found = {}
    with opened(browser, site, mika, width) as page:
        for path in ("/", "/channel/gdq/vods?q=boss&view=list", "/history", f"/vods/{site.vod_id}"):
            page.goto(site.url + path)
            found[path] = axe_finds(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert found == {path: [] for path in found}
