"""Captions: their owner brings, replaces and removes them; everybody who may watch reads them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from aethex.library import Library, audit, vods
from aethex.media.webvtt import MAX_BYTES
from aethex.settings import Settings
from aethex.store import Store
from tests.service.conftest import Client
from tests.service.content import MadeVod, add_vod
from tests.service.people import Person, give_channel, person

VTT = b"WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:01.000 --> 00:02.000\nHello <x>all</x>\n"
SRT = b"1\n00:00:01,000 --> 00:00:03,000\nHallo\n\n2\n00:00:04,000 --> 00:00:05,000\nWelt\n"


@pytest.fixture
def ada(library: Library, settings: Settings) -> Person:
    return person(library, settings, "ada")


@pytest.fixture
def vod(library: Library, folder_store: Store, ada: Person) -> MadeVod:
    made = add_vod(library, folder_store, username="adas")
    give_channel(library, "adas", ada)
    return made


def put(
    client: Client, who: Person | None, vod: MadeVod, language: str, data: bytes, query: str = ""
) -> httpx.Response:
    headers = who.headers if who else {}
    path = f"/api/vods/{vod.id}/captions/{language}{query}"
    return client.request("PUT", path, content=data, headers=headers)


def send_form(
    client: Client, who: Person, vod: MadeVod, data: bytes, **fields: Any
) -> httpx.Response:
    """The form of the page, with its file, as a browser without scripts sends it."""
    return client.request(
        "POST",
        f"/vods/{vod.id}/captions",
        data={"csrf_token": who.csrf_token, **fields},
        files={"file": ("said.vtt", data, "text/vtt")},
        headers={"Cookie": who.cookie, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
    )


def stored(store: Store, vod: MadeVod) -> dict[str, int]:
    """Caption objects of the VOD and their bytes."""
    listed = store.list(f"{vod.prefix}{vod.id}/")
    return {info.key: info.size_bytes for info in listed if "/captions-" in info.key}


def size_of(library: Library, vod: MadeVod) -> int:
    with library.session() as s:
        return getattr(vods.get(s, vod.id), "size_bytes", 0)


def test_captions_are_brought_listed_read_replaced_and_removed(
    client: Client, library: Library, folder_store: Store, ada: Person, vod: MadeVod
) -> None:
    before = size_of(library, vod)
    first = put(client, ada, vod, "EN_us", VTT, "?label=Ada%27s&kind=subtitles").json()
    (listed,) = first["captions"]
    assert (listed["language"], listed["label"], listed["kind"]) == ("en-US", "Ada's", "subtitles")
    assert (listed["source"], listed["cues"]) == ("owner", 1)
    read = client.get(urlsplit(listed["url"]).path)
    assert read.headers["content-type"] == "text/vtt; charset=utf-8"
    assert read.text == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHello all\n"

    put(client, ada, vod, "de", SRT)
    (again,) = [
        one
        for one in put(client, ada, vod, "en-US", SRT).json()["captions"]
        if one["language"] == "en-US"
    ]
    assert (again["label"], again["cues"]) == ("English (US)", 2)
    assert again["url"] != listed["url"]
    assert client.get(urlsplit(listed["url"]).path).status_code == 404
    held = stored(folder_store, vod)
    assert len(held) == 2
    assert size_of(library, vod) == before + sum(held.values())
    assert [one["language"] for one in client.get(f"/api/vods/{vod.id}").json()["captions"]] == [
        "de",
        "en-US",
    ]

    gone = client.request("DELETE", f"/api/vods/{vod.id}/captions/en-US", headers=ada.headers)
    assert [one["language"] for one in gone.json()["captions"]] == ["de"]
    assert client.get(urlsplit(again["url"]).path).status_code == 404
    twice = client.request("DELETE", f"/api/vods/{vod.id}/captions/en-US", headers=ada.headers)
    assert (twice.status_code, twice.json()["detail"]) == (404, "There are no captions in en-US.")
    client.request("DELETE", f"/api/vods/{vod.id}/captions/de", headers=ada.headers)
    assert (stored(folder_store, vod), size_of(library, vod)) == ({}, before)
    with library.session() as s:
        done = [entry.action for entry in audit.latest(s, 10)]
    assert done[0] == "vod.captions.remove"
    assert done.count("vod.captions") == 3


@pytest.mark.parametrize(
    ("language", "data", "field", "said"),
    [
        ("en", b"WEBVTT\n\n00:01 --> 00:02\nx\n", "captions", "Line 3: '00:01 --> 00:02'"),
        ("en", b"", "captions", "There is no file."),
        ("en", b"\xff\xfe", "captions", "Line 1: this is not UTF-8"),
        ("english", VTT, "language", "'english' is no language."),
        ("en", SRT.replace(b"00:00:", b"01:00:"), "captions", "after the end of the VOD"),
    ],
)
def test_what_cannot_be_captions_is_refused_with_the_line_and_the_remedy(
    client: Client,
    folder_store: Store,
    ada: Person,
    vod: MadeVod,
    language: str,
    data: bytes,
    field: str,
    said: str,
) -> None:
    answer = put(client, ada, vod, language, data)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert said in error["detail"]
    assert error["remedy"]
    assert stored(folder_store, vod) == {}


def test_more_than_captions_can_be_is_not_read(client: Client, ada: Person, vod: MadeVod) -> None:
    assert put(client, ada, vod, "en", b"x" * (MAX_BYTES + 1)).status_code == 413
    assert send_form(client, ada, vod, b"x" * (MAX_BYTES * 2), language="en").status_code == 413


def test_the_page_takes_a_file_without_scripts(
    client: Client, folder_store: Store, ada: Person, vod: MadeVod
) -> None:
    sent = send_form(client, ada, vod, SRT, language="de", label="", is_for_deaf="yes")
    assert (sent.status_code, sent.headers["location"]) == (303, f"/vods/{vod.id}#captions")
    page = ada.get(client, f"/vods/{vod.id}").text
    assert page.count('<track kind="captions" label="Deutsch" srclang="de" src="/media/') == 2
    assert ">2 cues · Uploaded" in page
    removed = ada.post(client, f"/vods/{vod.id}/captions/de/remove")
    assert removed.status_code == 303
    assert stored(folder_store, vod) == {}
    assert 'kind="captions"' not in ada.get(client, f"/vods/{vod.id}").text


def test_a_file_that_cannot_be_read_is_said_on_the_page_and_the_form_stays(
    client: Client, ada: Person, vod: MadeVod
) -> None:
    sent = send_form(client, ada, vod, b"<p>no</p>", language="de", label="Für <alle>")
    assert sent.status_code == 422
    assert "Line 1: this is neither WebVTT" in sent.text
    assert "Correct the file and send it again." in sent.text
    assert 'value="Für &lt;alle&gt;"' in sent.text
    assert '<details class="edit captions" open>' in sent.text


def test_a_form_with_a_file_needs_the_sessions_token(
    client: Client, library: Library, settings: Settings, folder_store: Store, ada: Person, vod
) -> None:
    eve = person(library, settings, "eve")
    forged = Person(ada.user, ada.secret, eve.csrf_token, ada.cookie)
    assert send_form(client, forged, vod, SRT, language="de").status_code == 403
    broken = client.request(
        "POST",
        f"/vods/{vod.id}/captions",
        content=b"--x\r\nnonsense",
        headers={**ada.headers, "Content-Type": "multipart/form-data; boundary=x"},
    )
    assert broken.status_code in (400, 422)
    other = client.request(
        "POST", f"/vods/{vod.id}/edit", files={"file": ("a", b"b")}, headers=ada.headers
    )
    assert other.status_code == 415
    assert stored(folder_store, vod) == {}


def test_nobody_else_brings_or_reads_captions_of_a_private_vod(
    client: Client, library: Library, settings: Settings, ada: Person, vod: MadeVod
) -> None:
    eve = person(library, settings, "eve")
    public = put(client, ada, vod, "en", VTT).json()["captions"][0]["url"]
    assert put(client, eve, vod, "en", SRT).status_code == 403
    assert put(client, None, vod, "en", SRT).status_code == 401
    with library.session() as s:
        vods.set_public(s, vod.id, False)
    own = ada.get(client, f"/api/vods/{vod.id}").json()["captions"][0]["url"]
    assert ada.get(client, urlsplit(own).path).text.startswith("WEBVTT")
    for url in (public, own):
        assert eve.get(client, urlsplit(url).path).status_code == 404
        assert client.get(urlsplit(url).path).status_code == 404
    assert send_form(client, eve, vod, SRT, language="en").status_code == 404


def test_a_deleted_vod_takes_no_captions_and_shows_none(
    client: Client, folder_store: Store, ada: Person, vod: MadeVod
) -> None:
    url = put(client, ada, vod, "en", VTT).json()["captions"][0]["url"]
    before = stored(folder_store, vod)
    client.request("DELETE", f"/api/vods/{vod.id}", headers=ada.headers)
    answer = put(client, ada, vod, "en", SRT)
    assert (answer.status_code, "restore it before" in answer.json()["detail"]) == (409, True)
    assert client.get(urlsplit(url).path).status_code == 404
    assert stored(folder_store, vod) == before
    assert "<track" not in ada.get(client, f"/vods/{vod.id}").text
