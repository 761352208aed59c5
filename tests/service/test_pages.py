"""The pages as HTML: what they show, escaping, headers. How they behave is in test_browser.py."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from aethex.library import Library, Vod, channels
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.store import Store
from tests.service.conftest import Client, serving
from tests.service.content import AT, add_vod

HTML = {"Accept": "text/html,application/xhtml+xml"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{7*7}}"


class Elements(HTMLParser):
    """All start tags of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_home_shows_channels_and_the_newest_vods(
    client: Client, library: Library, folder_store: Store
) -> None:
    for n in range(3):
        add_vod(
            library,
            folder_store,
            title=f"Day {n}",
            channel_title="Games Done Quick",
            started_at=AT + timedelta(days=n),
            created_at=AT + timedelta(days=n),
        )
    page = Elements(client.get("/", headers=HTML).text)
    assert re.findall(r"Day \d", page.text) == ["Day 2", "Day 1", "Day 0"]
    assert "Games Done Quick" in page.text
    assert "3 VODs" in page.text
    assert "7 Jan 2026" in page.text


def test_home_without_content_says_what_to_do_next(client: Client) -> None:
    page = client.get("/", headers=HTML)
    assert page.status_code == 200
    assert "aethex import video" in page.text


def test_a_channels_page_has_cards_with_poster_duration_and_date(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store)
    html = client.get("/channel/gdq/vods", headers=HTML).text
    page = Elements(html)
    [poster] = page.of("img")
    assert (poster["width"], poster["height"], poster["alt"]) == ("640", "360", "")
    assert client.get(str(poster["src"])).headers["content-type"] == "image/jpeg"
    assert f"/vods/{made.id}" in {link["href"] for link in page.of("a")}
    assert "0:08" in page.text
    assert "5 Jan 2026" in page.text


def test_twelve_vods_a_page_and_links_to_the_others(
    client: Client, library: Library, folder_store: Store
) -> None:
    for n in range(13):
        add_vod(library, folder_store, title=f"Day {n:02}", created_at=AT + timedelta(days=n))
    first = client.get("/channel/gdq/vods", headers=HTML).text
    assert len(set(re.findall(r"Day \d\d", first))) == 12
    assert 'href="/channel/gdq/vods?page=2"' in first
    second = client.get("/channel/gdq/vods?page=2", headers=HTML).text
    assert set(re.findall(r"Day \d\d", second)) == {"Day 00"}
    behind = client.get("/channel/gdq/vods?page=7", headers=HTML).text
    assert "The list ends at page 2" in behind


def test_a_channel_without_vods_has_a_designed_empty_page(client: Client, library: Library) -> None:
    with library.session() as session:
        channels.ensure_channel(session, "empty", "Quiet place")
    page = client.get("/channel/empty/vods", headers=HTML)
    assert page.status_code == 200
    assert "No VODs yet" in page.text


def test_usernames_are_found_in_any_case_and_without_the_rest_of_the_address(
    client: Client, library: Library, folder_store: Store
) -> None:
    add_vod(library, folder_store)
    assert client.get("/channel/GDQ/vods", headers=HTML).status_code == 200
    assert client.get("/channel/gdq").headers["location"] == "/channel/gdq/vods"


def test_a_vods_page_has_player_facts_download_and_more_of_the_channel(
    client: Client, library: Library, folder_store: Store
) -> None:
    other = add_vod(library, folder_store, title="Another day")
    made = add_vod(library, folder_store, title="Day one", description="All of it.")
    html = client.get(f"/vods/{made.id}", headers=HTML).text
    page = Elements(html)
    [player] = [section for section in page.of("section") if section.get("id") == "player"]
    assert str(player["data-hls"]).endswith(f"/{made.id}/index.m3u8")
    assert player["data-frame-rate"] == "30.0"
    downloads = {link["href"] for link in page.of("a") if "download" in str(link["href"])}
    assert len(downloads) == 1
    assert client.get(str(downloads.pop())).headers["content-disposition"].startswith("attachment")
    assert f"/vods/{other.id}" in {link["href"] for link in page.of("a")}
    for text in ("Day one", "All of it.", "0:08", "1280\xa0×\xa0720", "10.0 KB"):
        assert text in page.text
    fallback = [video for video in page.of("video") if video.get("src")]
    assert [video["src"] for video in fallback] == [player["data-mp4"]]


def test_without_scripts_a_vod_that_has_no_mp4_is_its_playlist(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store)
    with library.session() as s:
        s.get_one(Vod, made.id).mp4_key = None
    page = Elements(client.get(f"/vods/{made.id}", headers=HTML).text)
    [fallback] = [video for video in page.of("video") if video.get("src")]
    assert str(fallback["src"]).endswith(f"/{made.id}/index.m3u8")


def test_what_is_not_measured_is_not_shown(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store)
    text = Elements(client.get(f"/vods/{made.id}", headers=HTML).text).text
    for word in ("views", "likes", "clips", "Viewers while it was live"):
        assert word not in text


def test_hostile_titles_stay_text(client: Client, library: Library, folder_store: Store) -> None:
    made = add_vod(library, folder_store, title=HOSTILE, description=HOSTILE, channel_title=HOSTILE)
    for path in ("/", "/channel/gdq/vods", f"/vods/{made.id}"):
        page = Elements(client.get(path, headers=HTML).text)
        assert HOSTILE in page.text
        assert not [image for image in page.of("img") if image.get("src") == "x"]
        assert all(script.get("src") for script in page.of("script"))
        assert not [name for _, attrs in page.found for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("path", ["/", "/channel/gdq/vods", "/vods/{}", "/nothing"])
def test_pages_allow_no_script_and_no_frame_of_others(
    client: Client, library: Library, folder_store: Store, path: str
) -> None:
    made = add_vod(library, folder_store)
    answer = client.get(path.format(made.id), headers=HTML)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["script-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert ("'unsafe-inline'" in policy["style-src"]) is ("vods/vod_" in str(answer.url))
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = Elements(answer.text)
    assert not page.of("style")
    assert not [attrs for _, attrs in page.found if "style" in attrs]
    links = [
        str(link.get("src") or link.get("href"))
        for tag in ("script", "link", "img")
        for link in page.of(tag)
    ]
    assert all(link.startswith(("/", "http://localhost:8000/vods/")) for link in links)


def test_an_error_that_nobody_expected_has_the_same_headers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = client.get("/", headers={"Accept": "text/html"})

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr("aethex.library.channels.list", fail)
    for path in ("/", "/api/channels"):
        failed = client.get(path, headers={"Accept": "text/html"})
        assert failed.status_code == 500
        assert "content-security-policy" in failed.headers
        for name in ("x-frame-options", "x-content-type-options", "referrer-policy"):
            assert failed.headers[name] == good.headers[name]


def test_transport_security_is_asked_for_behind_https_only(settings: Settings) -> None:
    secure = settings.model_copy(update={"public_url": "https://live.example"})
    with serving(create_app(secure)) as client:
        assert "max-age" in client.get("/healthz").headers["strict-transport-security"]
    with serving(create_app(settings)) as client:
        assert "strict-transport-security" not in client.get("/healthz").headers


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/vods/nope", 404, "There is no VOD nope."),
        ("/channel/nobody/vods", 404, "There is no channel @nobody."),
        ("/channel/%00/vods", 404, "There is no channel"),
        ("/nothing", 404, "Nothing is here"),
        ("/channel/gdq/vods?page=0", 422, "Give at least 1."),
        ("/vods/<script>", 404, "There is no VOD &lt;script&gt;."),
    ],
)
def test_errors_are_pages_for_people(client: Client, path: str, status: int, text: str) -> None:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert text in answer.text
    assert answer.headers["cache-control"] == "no-store"
    for_programs = client.get(path, headers={"Accept": "application/json"})
    assert for_programs.headers["content-type"] == "application/problem+json"


def test_pages_lead_creators_to_the_dashboards(settings: Settings) -> None:
    with serving(create_app(settings.model_copy(update={"dashboards_port": 9999}))) as client:
        assert 'href="http://localhost:9999"' in client.get("/", headers=HTML).text


def test_static_files_are_kept_for_a_year_under_addresses_of_their_content(client: Client) -> None:
    page = Elements(client.get("/", headers=HTML).text)
    [style] = [link for link in page.of("link") if link["rel"] == "stylesheet"]
    answer = client.get(str(style["href"]))
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    again = client.get(str(style["href"]), headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    old = client.get("/static/000000000000/aethex.css")
    assert (old.text, old.headers["cache-control"]) == (answer.text, "no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/nothing.css",
        "/static/x/%2e%2e/app.py",
        "/static/vendor/x/package.json",
        "/static/vendor/x/..%2f..%2fpackage.json",
    ],
)
def test_only_known_static_files_are_served(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_player_js_is_for_pages_of_all_sites_and_its_address_stays(client: Client) -> None:
    answer = client.get("/player.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    again = client.get("/player.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == answer.headers["cache-control"]
    plain = client.get("/player.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    assert client.head("/player.js").headers["etag"] == answer.headers["etag"]


def test_player_js_needs_nothing_and_stays_small(client: Client) -> None:
    code = client.get("/player.js").text
    assert not re.search(r"^\s*(import|export)\b|\brequire\(|import\(", code, re.MULTILINE)
    assert len(code.encode()) < 20_000
    assert len(gzip.compress(code.encode(), 9)) < 7_000


def test_our_pages_have_player_js_under_an_address_of_its_content(
    client: Client, library: Library, folder_store: Store
) -> None:
    made = add_vod(library, folder_store)
    for path in (f"/vods/{made.id}", "/channel/gdq/vods"):
        page = Elements(client.get(path, headers=HTML).text)
        sources = [str(script["src"]) for script in page.of("script")]
        [player] = [source for source in sources if source.endswith("/player.js")]
        assert client.get(player).text == client.get("/player.js").text
        assert "immutable" in client.get(player).headers["cache-control"]
        assert sources.index(player) < [source.endswith("/visit.js") for source in sources].index(
            True
        )
    page = Elements(client.get(f"/vods/{made.id}", headers=HTML).text)
    assert [video.get("data-aethex-vod") for video in page.of("video")] == [made.id, None]


@pytest.mark.parametrize("path", ["/", "/api/channels", "/healthz", "/nothing"])
def test_head_gives_the_headers_of_get(client: Client, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert head.headers["content-type"] == whole.headers["content-type"]
