"""A channel's finder in a browser: composed words, the network away, the focus, the way back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Complaints
from tests.service.content import add_vod
from tests.service.judging import judged
from tests.service.watching import PlayerSite, eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def channel(player_site: PlayerSite) -> str:
    """The address of a channel with VODs on two pages."""
    for n in range(14):
        add_vod(player_site.library, player_site.store, username="sought", title=f"Race {n}")
    return f"{player_site.url}/channel/sought/vods"


def compose(page: Page, text: str) -> None:
    """Type as an input method does, as that of a phone's keyboard: the word is not yet given."""
    session = page.context.new_cdp_session(page)
    for end in range(1, len(text) + 1):
        session.send(
            "Input.imeSetComposition",
            {"text": text[:end], "selectionStart": end, "selectionEnd": end},
        )


def test_a_word_is_found_while_it_is_composed(page: Page, channel: str) -> None:
    page.goto(channel)
    page.get_by_role("searchbox").focus()
    compose(page, "13")
    expect(page.get_by_role("status").first).to_have_text("1 VOD for “13”")
    expect(page.get_by_role("searchbox")).to_have_value("13")


def test_the_skip_link_leads_to_the_content_and_loads_no_page(page: Page, channel: str) -> None:
    page.goto(channel)
    page.evaluate("window.isSamePage = true")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**#content")
    page.evaluate("new Promise(done => setTimeout(done))")  # popstate has been told by now
    with page.expect_request("**/channel/sought/vods?q=7"):  # and what is typed is found still
        page.get_by_role("searchbox").fill("7")
    assert page.evaluate("window.isSamePage")


def test_dates_set_by_keyboard_leave_the_focus_and_go_back(page: Page, channel: str) -> None:
    page.goto(channel)
    menu = page.locator("details.menu")
    menu.locator("summary").press("Enter")
    menu.get_by_label("From").fill("2025-06-01")
    menu.get_by_role("button", name="Show").press("Enter")
    expect(menu.locator("summary")).to_have_text("Since 1 Jun 2025")
    expect(menu.locator("summary")).to_be_focused()
    expect(menu).to_have_attribute("data-set", "")
    page.go_back()
    expect(menu.locator("summary")).to_have_text("Any date")
    expect(menu.get_by_label("From")).to_have_value("")


def test_a_range_given_backwards_is_the_same_range(page: Page, channel: str) -> None:
    page.goto(f"{channel}?from=2026-02-01&to=2026-01-01")
    expect(page.get_by_role("status").first).to_have_text("14 VODs, 1 Jan 2026 – 1 Feb 2026")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("listitem").filter(has_text="Race")).to_have_count(2)


def test_what_is_found_has_the_title_of_its_page(page: Page, channel: str) -> None:
    page.goto(f"{channel}?page=2")
    page.get_by_role("searchbox").fill("race")
    eventually(page, lambda: page.title() == "sought: VODs · AeThex Live")


def test_typing_while_the_network_is_away_keeps_the_page_and_what_was_typed(
    page: Page, channel: str
) -> None:
    page.goto(channel)
    page.context.set_offline(True)
    page.get_by_role("searchbox").fill("13")
    expect(page.get_by_role("status").first).to_contain_text("not answered")
    page.context.set_offline(False)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("status").first).to_have_text("1 VOD for “13”")


def test_a_word_without_an_end_makes_no_page_wide(
    page: Page, channel: str, complaints: Complaints
) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    for word in ("w" * 200, "race"):
        page.goto(f"{channel}?q={word}")
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert complaints == []


def test_a_title_from_right_to_left_reads_in_its_own_direction(
    page: Page, player_site: PlayerSite
) -> None:
    title = "\u05e9\u05dc\u05d5\u05dd abc!"
    add_vod(player_site.library, player_site.store, username="hebrew", title=title)
    page.goto(f"{player_site.url}/channel/hebrew/vods")
    lefts = page.evaluate(
        "[...document.querySelector('.card-title a').firstChild.data].map((_, at) => {"
        " const range = new Range(), text = document.querySelector('.card-title a').firstChild;"
        " range.setStart(text, at); range.setEnd(text, at + 1);"
        " return range.getBoundingClientRect().left; })"
    )
    assert lefts[-1] < lefts[title.index("a")] < lefts[0]


def test_what_is_found_and_how_to_see_all_again_suits_fingers(page: Page, channel: str) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    for words in ("race", "nothing"):
        page.goto(f"{channel}?q={words}&from=2026-01-01")
        page.locator("details.menu summary").click()
        assert judged(page, 360) == []
