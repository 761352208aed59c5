"""`/media`: who may read what, and HTTP ranges over real objects."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aethex.library import Library, sessions, vods
from aethex.service.app import create_app
from aethex.service.media import content_disposition
from aethex.service.media_tokens import MediaTokens
from aethex.settings import Settings
from aethex.store import Store, open_store
from tests.service.conftest import Client, serving
from tests.service.content import MP4, PLAYLIST, POSTER, MadeVod, add_vod
from tests.service.people import Person, give_channel, person


@pytest.fixture
def vod(library: Library, folder_store: Store) -> MadeVod:
    return add_vod(library, folder_store)


def path_of(client: Client, vod: MadeVod, kind: str) -> str:
    """The path in one of the VOD's media addresses, as the API gives them."""
    return urlsplit(client.get(f"/api/vods/{vod.id}").json()[f"{kind}_url"]).path


def token_of(client: Client, vod: MadeVod) -> str:
    return path_of(client, vod, "hls").split("/")[2]


@pytest.mark.parametrize(
    ("kind", "content", "media_type"),
    [
        ("hls", PLAYLIST, "application/vnd.apple.mpegurl"),
        ("poster", POSTER, "image/jpeg"),
        ("mp4", MP4, "video/mp4"),
    ],
)
def test_every_address_of_a_vod_gives_its_object(
    client: Client, vod: MadeVod, kind: str, content: bytes, media_type: str
) -> None:
    answer = client.get(path_of(client, vod, kind))
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"].startswith("public, max-age=")


def test_a_segment_is_found_relative_to_the_playlist(client: Client, vod: MadeVod) -> None:
    playlist = path_of(client, vod, "hls")
    segment = client.get(f"{playlist.rsplit('/', 2)[0]}/{vod.run_id}/000001.m4s")
    assert segment.content == b"second segment"
    assert segment.headers["content-type"] == "video/iso.segment"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=9990-", 9990, 10_000),
        ("bytes=-5", 9995, 10_000),
    ],
)
def test_a_range_gives_exactly_its_bytes(
    client: Client, vod: MadeVod, asked: str, start: int, end: int
) -> None:
    answer = client.get(path_of(client, vod, "mp4"), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, MP4[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/10000"
    assert answer.headers["content-length"] == str(end - start)


def test_a_range_behind_the_end_is_416_with_the_size(client: Client, vod: MadeVod) -> None:
    answer = client.get(path_of(client, vod, "mp4"), headers={"Range": "bytes=10000-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10000"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_several_ranges_at_once_give_the_whole_object(client: Client, vod: MadeVod) -> None:
    answer = client.get(path_of(client, vod, "mp4"), headers={"Range": "bytes=0-1,5-6"})
    assert (answer.status_code, answer.content) == (200, MP4)


def test_head_tells_the_size_and_sends_nothing(client: Client, vod: MadeVod) -> None:
    answer = client.head(path_of(client, vod, "mp4"), headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "10000"


def test_a_client_with_the_same_version_gets_304(client: Client, vod: MadeVod) -> None:
    path = path_of(client, vod, "mp4")
    first = client.get(path)
    by_tag = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (by_tag.status_code, by_tag.content) == (304, b"")
    assert by_tag.headers["etag"] == first.headers["etag"]
    by_date = client.get(path, headers={"If-Modified-Since": first.headers["last-modified"]})
    assert by_date.status_code == 304


def test_a_range_of_another_version_gives_the_object_whole(client: Client, vod: MadeVod) -> None:
    path = path_of(client, vod, "mp4")
    tag = client.get(path).headers["etag"]
    same = client.get(path, headers={"Range": "bytes=1-2", "If-Range": tag})
    other = client.get(path, headers={"Range": "bytes=1-2", "If-Range": '"older"'})
    assert (same.status_code, same.content) == (206, MP4[1:3])
    assert (other.status_code, other.content) == (200, MP4)


def test_a_page_elsewhere_may_read_media(client: Client, vod: MadeVod) -> None:
    asked = client.options(
        path_of(client, vod, "hls"),
        headers={"Origin": "https://a.example", "Access-Control-Request-Headers": "range"},
    )
    assert asked.status_code == 204
    assert "Range" in asked.headers["access-control-allow-headers"]


def test_the_playlist_is_compressed_and_its_tag_then_weak(
    client: Client, folder_store: Store, vod: MadeVod
) -> None:
    long = PLAYLIST * 100
    folder_store.put(f"{vod.prefix}{vod.id}/index.m3u8", long)
    answer = client.get(path_of(client, vod, "hls"))
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["etag"].startswith('W/"')
    assert answer.content == long


def test_a_download_is_named_after_the_title(
    client: Client, library: Library, folder_store: Store
) -> None:
    vod = add_vod(library, folder_store, title='Über "Mega/Man" X: 100 %')
    answer = client.get(path_of(client, vod, "mp4"), params={"download": "1"})
    assert answer.content == MP4
    assert answer.headers["content-disposition"] == (
        'attachment; filename="ber Mega Man X 100 .mp4"; '
        "filename*=UTF-8''%C3%9Cber%20Mega%20Man%20X%20100%20%25.mp4"
    )


@given(title=st.text())
def test_no_title_breaks_out_of_the_download_header(title: str) -> None:
    header = content_disposition(title, "video.mp4")
    assert header.isascii()
    assert header.isprintable()
    plain, _, encoded = header.partition("; filename*=UTF-8''")
    assert plain.count('"') == 2
    assert "/" not in plain
    assert "\\" not in plain
    assert set(encoded) <= set(quote(encoded, safe="%"))


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token[1:],
        lambda token: token + "A",
        lambda _: "x" * 200,
    ],
)
def test_a_changed_token_is_refused(client: Client, vod: MadeVod, change) -> None:
    path = path_of(client, vod, "hls")
    token = token_of(client, vod)
    answer = client.get(path.replace(token, change(token)))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:aethex:problem:media-refused"


def test_an_old_token_is_refused_and_says_so(
    client: Client, settings: Settings, vod: MadeVod
) -> None:
    old = MediaTokens.from_settings(settings).issue(
        vod_id=vod.id, prefix=vod.prefix, duration_seconds=8, now=1e9
    )
    answer = client.get(f"/media/{old}/{vod.id}/index.m3u8")
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:aethex:problem:media-expired"


def test_a_token_opens_no_other_vod_of_its_stream(
    client: Client, library: Library, folder_store: Store, vod: MadeVod
) -> None:
    other = add_vod(
        library, folder_store, stream="Day one", title="The private cut", is_public=False
    )
    assert other.prefix == vod.prefix
    token = token_of(client, vod)
    for path in (f"{other.id}/index.m3u8", f"{other.run_id}/000000.m4s"):
        assert client.get(f"/media/{token}/{path}").status_code == 403


def test_a_private_vod_and_a_deleted_one_are_out_of_reach_with_their_old_addresses(
    client: Client, library: Library, vod: MadeVod
) -> None:
    path = path_of(client, vod, "mp4")
    with library.session() as session:
        vods.set_public(session, vod.id, False)
    assert client.get(path).status_code == 404
    with library.session() as session:
        vods.set_public(session, vod.id, True)
    assert client.get(path).status_code == 200
    with library.session() as session:
        vods.mark_deleted(session, vod.id, datetime.now(UTC))
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../../../secret.txt",
        "{vod}/../../../../secret.txt",
        "{vod}/..%2f..%2f..%2f..%2fsecret.txt",
        "%2e%2e/%2e%2e/secret.txt",
        "{vod}/%2e%2e/secret.txt",
        "{vod}//index.m3u8",
        "/{vod}/index.m3u8",
        "{vod}/index.m3u8/",
        "{vod}/index.m3u8%00.jpg",
        "{vod}\\index.m3u8",
        "{vod}/.hidden.mp4",
        "{vod}/index",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(
    client: Client, settings: Settings, vod: MadeVod, path: str
) -> None:
    (settings.data_dir / "secret.txt").write_text("not for you")
    answer = client.get(f"/media/{token_of(client, vod)}/{path.format(vod=vod.id)}")
    assert answer.status_code in (403, 404)
    assert b"not for you" not in answer.content


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(token=st.text(min_size=1), path=st.text())
@example(token="0", path=".")
def test_no_address_makes_it_fail(client: Client, vod: MadeVod, token: str, path: str) -> None:
    for address in (
        f"{quote(token, safe='')}/{quote(path)}",
        f"{token_of(client, vod)}/{quote(path)}",
    ):
        # a path of dots alone leaves only the token, whose address without a slash is redirected
        answer = client.get(f"/media/{address}", follow_redirects=True)
        assert answer.status_code in (403, 404)


def test_an_object_that_is_gone_is_404(client: Client, folder_store: Store, vod: MadeVod) -> None:
    path = path_of(client, vod, "poster")
    folder_store.delete([f"{vod.prefix}{vod.run_id}/poster.jpg"])
    answer = client.get(path)
    assert answer.status_code == 404
    assert "poster.jpg" in answer.json()["detail"]


def test_an_empty_object_is_sent_as_such(client: Client, folder_store: Store, vod: MadeVod) -> None:
    folder_store.put(f"{vod.prefix}{vod.run_id}/poster.jpg", b"")
    answer = client.get(path_of(client, vod, "poster"))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.usefixtures("client")
def test_the_key_is_kept_beside_the_data(settings: Settings) -> None:
    kept = Path(settings.data_dir) / "media_secret"
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.r2
def test_media_of_r2_are_served_with_ranges(r2_settings: Settings, library: Library) -> None:
    vod = add_vod(library, open_store(r2_settings))
    with serving(create_app(r2_settings)) as client:
        path = path_of(client, vod, "mp4")
        whole = client.get(path)
        assert (whole.status_code, whole.content) == (200, MP4)
        part = client.get(path, headers={"Range": "bytes=10-19", "If-Range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, MP4[10:20])
        tag = {"If-None-Match": whole.headers["etag"]}
        assert client.get(path, headers=tag).status_code == 304
        assert client.get("/readyz").status_code == 200


# --- private VODs ---------------------------------------------------------------------------------


@pytest.fixture
def ada(library: Library, settings: Settings, vod: MadeVod) -> Person:
    """The owner of the VOD's channel; the VOD is private."""
    ada = person(library, settings, "ada")
    give_channel(library, "gdq", ada)
    with library.session() as session:
        vods.set_public(session, vod.id, False)
    return ada


def owners_paths(client: Client, ada: Person, vod: MadeVod) -> list[str]:
    """Every address of the VOD's objects that its owner has."""
    body = ada.get(client, f"/api/vods/{vod.id}").json()
    paths = [urlsplit(body[f"{kind}_url"]).path for kind in ("hls", "poster", "mp4")]
    token = paths[0].split("/")[2]
    names = ("init.mp4", "000000.m4s", "000001.m4s")
    return paths + [f"/media/{token}/{vod.run_id}/{name}" for name in names]


def test_a_private_vod_is_its_owners_alone(
    client: Client, library: Library, settings: Settings, vod: MadeVod, ada: Person
) -> None:
    eve, admin = (
        person(library, settings, "eve"),
        person(library, settings, "root", role="admin"),
    )
    paths = owners_paths(client, ada, vod)
    assert len(paths) == 6
    for path in paths:
        mine = ada.get(client, path)
        assert mine.status_code == 200
        assert mine.headers["cache-control"] == "private, no-store"
        assert mine.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in mine.headers
        assert "access-control-allow-origin" not in client.options(path).headers
        refused = [client.get(path), eve.get(client, path), admin.get(client, path)]
        refused += [client.head(path), client.get(path, headers={"Range": "bytes=0-1"})]
        assert [answer.status_code for answer in refused] == [404] * 5
        assert all("no-store" in answer.headers["cache-control"] for answer in refused)
    assert ada.get(client, paths[2], Range="bytes=99999-").status_code == 416
    assert (
        "access-control-allow-origin" not in ada.get(client, paths[2], Range="bytes=99999-").headers
    )
    (own,) = {path.split("/")[2] for path in owners_paths(client, admin, vod)}
    assert admin.get(client, f"/media/{own}/{vod.run_id}/poster.jpg").status_code == 200


def test_an_owners_address_dies_with_the_session_and_with_the_ownership(
    client: Client, library: Library, settings: Settings, vod: MadeVod, ada: Person
) -> None:
    phone, path = person(library, settings, "ada"), owners_paths(client, ada, vod)[0]
    with library.session() as session:
        sessions.end(session, ada.secret)
    assert ada.get(client, path).status_code == 404
    assert phone.get(client, path).status_code == 200
    give_channel(library, "gdq", person(library, settings, "eve"))
    assert phone.get(client, path).status_code == 404


def test_a_private_vod_has_a_page_for_its_owner(
    client: Client, library: Library, settings: Settings, vod: MadeVod, ada: Person
) -> None:
    page = ada.get(client, f"/vods/{vod.id}")
    assert page.status_code == 200
    assert "Private: only you can see it" in page.text
    assert 'name="robots" content="noindex"' in page.text
    assert "og:image" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert owners_paths(client, ada, vod)[0] in page.text
    api = ada.get(client, f"/api/vods/{vod.id}")
    assert (api.json()["is_public"], api.headers["cache-control"]) == (False, "private, no-store")
    eve = person(library, settings, "eve")
    for path in (f"/vods/{vod.id}", f"/api/vods/{vod.id}"):
        assert client.get(path).status_code == 404
        assert eve.get(client, path).status_code == 404


def test_the_owner_of_a_public_vod_gets_the_address_of_everybody(
    client: Client, library: Library, settings: Settings, vod: MadeVod
) -> None:
    ada = person(library, settings, "ada")
    give_channel(library, "gdq", ada)
    assert (
        ada.get(client, f"/api/vods/{vod.id}")
        .json()["hls_url"]
        .endswith(path_of(client, vod, "hls"))
    )
