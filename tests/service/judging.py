"""Whether a page suits everybody: axe, sizes to touch, and the width of a phone.

What belongs here: the judgement. What does not: which pages (the tests).
"""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser import axe_path


def axe_finds(page: Page) -> list[object]:
    """What axe finds serious: which rule, and where."""
    page.evaluate(axe_path().read_text())
    answer = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        (violation["id"], node["target"])
        for violation in answer["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def judged(page: Page, width: int) -> list[object]:
    """What axe finds serious, what is too small to touch, and whether the page is too wide."""
    wrong = axe_finds(page)
    # what is touched of a choice is its line, of a card all of it, and links within a sentence are
    # as high as it is
    small = (
        "[...document.querySelectorAll('main input:not([type=hidden]):not([hidden]), main button, "
        "main select, main summary, main a:not(.card-title a, .card-meta a, .caution a), "
        ".account-menu a, .account-menu button, header a, header summary')]"
        ".filter(e => e.checkVisibility() && "
        "(e.closest('.check') ?? e).getBoundingClientRect().height < 43.5)"
        ".map(e => e.outerHTML)"
    )
    wrong += page.evaluate(small)
    if page.evaluate("document.documentElement.scrollWidth") > width:
        wrong.append("wider than the screen")
    return wrong
