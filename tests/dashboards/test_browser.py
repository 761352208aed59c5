"""The dashboards in a real browser, over a real server: AGDQ 2020, and the small world."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from aethex.dashboards.theme import PALETTES
from aethex.library.segments import NewSegment
from aethex.settings import Settings
from tests.browser import Complaints, axe_path
from tests.dashboards.server import dashboards_server
from tests.dashboards.world import MadeStream, World, make_world
from tests.postgres_server import PostgresForTests

pytestmark = pytest.mark.browser

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def agdq(folder: Path) -> MadeStream:
    """AGDQ 2020 as its author measured it; a run that began late ends the one before it."""
    rows = json.loads((folder / "agdq2020_latest.json").read_text())
    counts = [(datetime.fromisoformat(row["time"]), row["v"], row["c"]) for row in rows]
    runs = sorted(
        json.loads((folder / "agdq2020_schedule.json").read_text()), key=lambda r: r["start_time"]
    )
    starts = [datetime.fromisoformat(run["start_time"]).replace(tzinfo=UTC) for run in runs]
    segments = [
        NewSegment(
            run["name"], start, min(start + _length(run["duration"]), following), run["category"]
        )
        for run, start, following in zip(
            runs, starts, [*starts[1:], datetime.max.replace(tzinfo=UTC)], strict=True
        )
        if start < following
    ]
    return MadeStream("AGDQ 2020", counts, segments)


def _length(text: str) -> timedelta:
    hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


@pytest.fixture(scope="module")
def gdq(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, postgres: PostgresForTests
) -> World:
    with postgres.fresh_database() as url:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            data_dir=tmp_path_factory.mktemp("gdq"),
            database_url=url,
        )
        return make_world(settings, {("gdq", "Games Done Quick"): [agdq(shared_data / "gdq")]})


@pytest.fixture(scope="module")
def gdq_address(gdq: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboards_server(gdq.settings, tmp_path_factory.mktemp("log") / "server.log") as address:
        yield address


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def page(browser: Browser, complaints: Complaints) -> Iterator[Page]:
    """A page of 1440 pixels, in the light; at the end it must not have complained."""
    with browser.new_context(
        viewport={"width": 1440, "height": 1000}, color_scheme="light", timezone_id="Asia/Tokyo"
    ) as context:
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        complaints.watch(opened)
        yield opened
    assert not complaints


def tile(page: Page, label: str) -> Locator:
    """The tile of that label."""
    return page.locator(".ax-tile", has=page.locator("dt", has_text=re.compile(f"^{label}$")))


def chart(page: Page) -> Locator:
    return page.locator(".stVegaLiteChart svg").first


def test_a_marathon_reads_as_its_author_measured_it(page: Page, gdq_address: str) -> None:
    page.goto(gdq_address)
    expect(tile(page, "Peak viewers")).to_contain_text("237,523")
    expect(tile(page, "Peak viewers")).to_contain_text("12 Jan 2020, 02:41 UTC")
    expect(tile(page, "Chat messages")).to_contain_text("863,623")
    expect(tile(page, "Coverage")).to_contain_text("95.4 %")
    expect(chart(page)).to_contain_text("peak 237,523")
    page.get_by_role("link", name="AGDQ 2020").click()

    expect(page.get_by_role("heading", name="AGDQ 2020")).to_be_visible()
    expect(tile(page, "Peak viewers")).to_have_count(1)  # the channel's are gone
    expect(tile(page, "Peak viewers")).to_contain_text("237,523")
    expect(tile(page, "Coverage")).to_contain_text("473 of 10,242 samples not measured")
    expect(chart(page)).to_contain_text("peak 237,523")
    # the browser's own zone is Tokyo's; the axis is UTC's
    expect(chart(page)).to_contain_text("Mon 6 Jan")
    expect(page).to_have_url(re.compile(r"\?channel=gdq&stream=st_\w+$"))


def test_a_row_zooms_the_chart_and_the_address_can_be_shared(
    page: Page, gdq: World, gdq_address: str
) -> None:
    page.goto(f"{gdq_address}/?channel=gdq&stream={gdq.stream_ids['AGDQ 2020']}")
    row = page.get_by_role("row", name=re.compile("^Metroid: Zero Mission"))
    expect(row).to_contain_text("121,178")
    row.click()
    expect(page.get_by_text("peak 121,178 · average 113,380 · 2,949 messages")).to_be_visible()
    expect(chart(page)).to_contain_text("peak 121,178")
    expect(page).to_have_url(re.compile("&segment=sseg_"))

    page.goto(page.url)
    expect(chart(page)).to_contain_text("peak 121,178")
    expect(page.locator("tr.selected")).to_contain_text("Metroid: Zero Mission")
    page.locator("tr.selected").click()
    expect(chart(page)).to_contain_text("peak 237,523")


def test_a_click_on_a_band_zooms_to_its_segment_and_brings_its_row_into_sight(
    page: Page, gdq: World, gdq_address: str
) -> None:
    page.goto(f"{gdq_address}/?channel=gdq&stream={gdq.stream_ids['AGDQ 2020']}")
    band = chart(page).locator("path[aria-label='Super Metroid Impossible']")
    band.click()
    expect(page.locator("tr.selected")).to_contain_text("Super Metroid Impossible")
    assert page.locator("tr.selected").evaluate(
        """row => {
            const [seen, frame] = [row, row.closest(".frame")].map(e => e.getBoundingClientRect());
            return seen.top >= frame.top && seen.bottom <= frame.bottom;
        }"""
    )


def test_hovering_shows_exact_values_on_a_crosshair(
    page: Page, gdq: World, gdq_address: str
) -> None:
    page.goto(f"{gdq_address}/?channel=gdq&stream={gdq.stream_ids['AGDQ 2020']}")
    expect(chart(page)).to_contain_text("peak 237,523")
    box = chart(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 90)
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + 90)
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_contain_text(re.compile(r"Jan 2020, \d\d:\d\d UTC"))
    expect(tooltip).to_contain_text("Messages per minute")


def test_the_table_sorts_by_a_click_on_its_head(page: Page, gdq: World, gdq_address: str) -> None:
    page.goto(f"{gdq_address}/?channel=gdq&stream={gdq.stream_ids['AGDQ 2020']}")
    head = page.get_by_role("columnheader", name="Peak, viewers")
    expect(page.get_by_role("columnheader", name="Start, UTC")).to_have_attribute(
        "aria-sort", "ascending"
    )
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    peaks = page.locator("tbody tr td:nth-child(4)").all_inner_texts()
    numbers = [int(text.replace(",", "")) for text in peaks if text.strip() != "—"]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] == 237_523


def test_csv_files_hold_every_row_exactly(
    page: Page, gdq: World, gdq_address: str, shared_data: Path
) -> None:
    page.goto(f"{gdq_address}/?channel=gdq&stream={gdq.stream_ids['AGDQ 2020']}")
    page.get_by_text("The chart as a table").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Every sample as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    rows = json.loads((shared_data / "gdq" / "agdq2020_latest.json").read_text())
    assert lines[0] == "at,viewers,messages"
    assert lines[1] == "2020-01-05T13:00:00Z,7649,14"
    assert len(lines) == len(rows) + 1
    assert sum(line.split(",")[1] == "" for line in lines[1:]) == 473


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_sticks_out_in_either_theme(
    browser: Browser, complaints: Complaints, gdq: World, gdq_address: str, scheme: Any
) -> None:
    with browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True, is_mobile=True
    ) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints.watch(page)
        for query in ("?channel=gdq", f"?stream={gdq.stream_ids['AGDQ 2020']}"):
            page.goto(f"{gdq_address}/{query}")
            expect(tile(page, "Peak viewers")).to_contain_text("237,523")
            expect(chart(page)).to_contain_text("peak 237,523")
            wide = page.evaluate(
                "[...document.querySelectorAll('.ax-tile, .ax-head, .stVegaLiteChart, svg')]"
                ".filter(e => e.getBoundingClientRect().right > innerWidth).length"
            )
            assert wide == 0
        ground = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        assert ground == ("rgb(13, 14, 18)" if scheme == "dark" else "rgb(247, 247, 249)")
    assert not complaints


def test_charts_follow_when_the_theme_is_switched(page: Page, gdq: World, gdq_address: str) -> None:
    page.goto(f"{gdq_address}/?channel=gdq&stream={gdq.stream_ids['AGDQ 2020']}")
    light, dark = PALETTES["light"].series[0], PALETTES["dark"].series[0]
    line = chart(page).locator(f"path[stroke='{light}']")
    expect(line.first).to_be_attached()
    page.locator("[data-testid='stMainMenu'] button").click()
    page.locator("[data-testid='stMainMenuItem-theme-Dark']").click()
    expect(chart(page).locator(f"path[stroke='{dark}']").first).to_be_attached()
    expect(line).to_have_count(0)


def test_the_pages_are_accessible(browser: Browser, gdq: World, gdq_address: str) -> None:
    for scheme in ("light", "dark"):
        with browser.new_context(color_scheme=scheme) as context:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            for query in ("?channel=gdq", f"?stream={gdq.stream_ids['AGDQ 2020']}"):
                page.goto(f"{gdq_address}/{query}")
                expect(chart(page)).to_contain_text("peak 237,523")
                expect(page.locator("td").first).to_be_visible()
                page.add_script_tag(path=axe_path())
                found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})")
                assert [
                    (rule["id"], [node["html"] for node in rule["nodes"]])
                    for rule in found["violations"]
                ] == []


def test_nothing_says_streamlit(page: Page, gdq_address: str) -> None:
    page.goto(gdq_address)
    expect(tile(page, "Peak viewers")).to_contain_text("237,523")
    assert page.title() == "AGDQ" or "AeThex·Live" in page.title()
    page.locator("[data-testid='stMainMenu'] button").click()
    expect(page.get_by_text("About")).to_be_visible()
    assert "streamlit" not in page.inner_text("body").lower()


def test_without_data_and_without_a_store_the_page_says_what_to_do(
    browser: Browser, complaints: Complaints, settings: Settings, tmp_path: Path
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints.watch(page)
        with dashboards_server(settings, tmp_path / "empty.log") as address:
            page.goto(address)
            expect(page.get_by_role("heading", name="No numbers yet")).to_be_visible()
            expect(page.get_by_text("aethex pipeline refresh")).to_be_visible()
        assert not complaints
