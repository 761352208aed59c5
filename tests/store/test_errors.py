"""Stores that are away, refuse, or lose an answer; and keys of every shape."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aethex.settings import Settings
from aethex.store import (
    AlreadyExists,
    Conflict,
    Store,
    StoreError,
    StoreUnreachable,
    check_key,
    open_store,
)
from tests.r2 import R2Server


def open_r2(server: R2Server, *, url: str | None = None, endpoint: str | None = None) -> Store:
    return Store.open(
        url or f"{server.url}/{uuid4().hex}",
        endpoint=endpoint or server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
    )


@contextmanager
def losing_answers(server: R2Server, losses: int) -> Iterator[str]:
    """A proxy before R2 that delivers the first PUTs and then hangs up without an answer."""
    left = [losses]

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = f"http://127.0.0.1:{server.port}{self.path}"
            answer = httpx.request(
                self.command, address, headers=dict(self.headers.items()), content=body
            )
            if self.command == "PUT" and left[0] > 0:
                left[0] -= 1
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name in ("etag", "last-modified", "x-amz-meta-write-id", "content-type"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            length = answer.headers.get("content-length", str(len(answer.content)))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(answer.content)

        do_PUT = do_GET = do_HEAD = forward  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}/cdn-cgi/local/r2/s3"
        proxy.shutdown()


@pytest.mark.r2
@pytest.mark.parametrize("losses", [1, 2])
def test_a_conditional_write_whose_answer_got_lost_is_no_conflict(
    r2: R2Server, losses: int
) -> None:
    url = f"{r2.url}/{uuid4().hex}"
    direct = open_r2(r2, url=url)
    with losing_answers(r2, losses) as endpoint:
        info = open_r2(r2, url=url, endpoint=endpoint).create("a", b"ours")
    assert direct.get_with_info("a")[1].etag == info.etag
    with losing_answers(r2, losses) as endpoint:
        store = open_r2(r2, url=url, endpoint=endpoint)
        info = store.replace("a", b"ours again", if_match=info.etag)
    assert direct.get("a") == b"ours again"
    assert direct.head("a").etag == info.etag


@pytest.mark.r2
def test_a_lost_answer_hides_no_other_writer(r2: R2Server) -> None:
    url = f"{r2.url}/{uuid4().hex}"
    direct = open_r2(r2, url=url)
    theirs = direct.create("a", b"the same")
    with losing_answers(r2, 1) as endpoint:
        store = open_r2(r2, url=url, endpoint=endpoint)
        with pytest.raises(AlreadyExists):
            store.create("a", b"the same")
    direct.put("a", b"changed")
    with losing_answers(r2, 1) as endpoint:
        store = open_r2(r2, url=url, endpoint=endpoint)
        with pytest.raises(Conflict):
            store.replace("a", b"changed", if_match=theirs.etag)


@pytest.mark.r2
def test_wrong_credentials_are_named(r2: R2Server) -> None:
    store = Store.open(
        r2.url, endpoint=r2.endpoint, access_key_id="test", secret_access_key="wrong"
    )
    for action in (store.check, lambda: store.put("a", b""), lambda: store.create("a", b"")):
        with pytest.raises(StoreError, match="AETHEX_STORE_SECRET_ACCESS_KEY") as caught:
            action()
        assert "\n" not in str(caught.value)


@pytest.mark.r2
def test_a_missing_bucket_is_named(r2: R2Server) -> None:
    store = open_r2(r2, url="s3://nosuchbucket")
    for action in (store.check, lambda: store.put("a", b""), lambda: store.get("a")):
        with pytest.raises(StoreError, match="no bucket for s3://nosuchbucket"):
            action()


def test_a_store_that_is_away_is_named_within_seconds() -> None:
    store = Store.open(
        "s3://lake/prefix",
        endpoint="http://127.0.0.1:1",
        access_key_id="test",
        secret_access_key="test",
    )
    actions = (
        store.check,
        lambda: store.put("a", b""),
        lambda: store.create("a", b""),
        lambda: store.get("a"),
        lambda: store.exists("a"),
        lambda: list(store.list()),
        lambda: store.delete(["a"]),
    )
    for action in actions:
        with pytest.raises(StoreUnreachable, match=r"127\.0\.0\.1:1.*AETHEX_STORE_URL") as caught:
            action()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["data/store", "https://x.example/y", "s3://", "file://host/x", ""])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="AETHEX_STORE_URL"):
        Store.open(url, access_key_id="a", secret_access_key="b")


def test_missing_credentials_are_named() -> None:
    with pytest.raises(StoreError, match="AETHEX_STORE_ACCESS_KEY_ID"):
        Store.open("s3://bucket", endpoint="http://127.0.0.1:1")


def test_the_settings_name_the_store(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)  # pyright: ignore[reportCallIssue]
    store = open_store(settings)
    store.put("a/b", b"x")
    assert store.is_local
    assert store.uri("a/b") == str(tmp_path / "store" / "a" / "b") == str(store.local_path("a/b"))
    remote = Store.open("s3://bucket/p/", access_key_id="a", secret_access_key="b")
    assert not remote.is_local
    assert remote.uri("a/b") == "s3://bucket/p/a/b"
    assert remote.local_path("a/b") is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="AETHEX_STORE_URL") as caught:
        Store.open((tmp_path / "file" / "store").as_uri())
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_refused_or_stays_inside_and_reads_back(tmp_path: Path, key: str) -> None:
    store = Store.open((tmp_path / "inner" / "store").as_uri())
    try:
        check_key(key)
    except ValueError:
        with pytest.raises(ValueError, match="not a store key"):
            store.put(key, b"x")
        return
    store.put(key, key.encode())
    assert store.get(key) == key.encode()
    assert [info.key for info in store.list()] == [key]
    store.delete([key])
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


part = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=8)


@pytest.mark.r2
@given(st.lists(part, min_size=1, max_size=3))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_the_same_keys_work_on_r2(r2: R2Server, parts: list[str]) -> None:
    store = open_r2(r2)
    key = "/".join(parts)
    try:
        check_key(key)
    except ValueError:
        return
    store.put(key, key.encode())
    assert store.get(key) == key.encode()
    assert [info.key for info in store.list()] == [key]
