"""What is fetched comes from the address that was checked, and within its limits."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aethex.fetch import Fetcher, FetchFailed, FetchRefused, FetchTooLarge, Limits
from aethex.settings import Settings
from tests.fetch.server import Asked, Send, Server, file, plain, redirect, serving

SHORT = Limits(connect_seconds=5, idle_seconds=0.2, total_seconds=0.6)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def fetcher(allow: tuple[str, ...] = ("127.0.0.1",), **options) -> Fetcher:
    settings = Settings(_env_file=None, fetch_allow=allow)  # pyright: ignore[reportCallIssue]
    return Fetcher(settings, **options)


def test_an_answer_comes_whole_with_its_type(server):
    server.answers["/a"] = plain(b'{"n": 1}', Content_Type="Application/JSON; charset=utf-8")
    with fetcher() as fetch:
        got = fetch.get(server.url("/a"), max_bytes=100)
    assert (got.body, got.content_type, got.json()) == (b'{"n": 1}', "application/json", {"n": 1})
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_the_connection_goes_to_the_checked_address_and_says_the_name(server):
    """The name does not exist anywhere; it is asked for once, and what it said is connected to."""
    asked = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    server.answers["/"] = plain(b"ok")
    with fetcher(resolve=resolve) as fetch:
        assert fetch.get(server.url("/", "media.invalid"), max_bytes=9).body == b"ok"
    assert asked == ["media.invalid"]
    assert server.asked[0].headers["host"] == f"media.invalid:{server.port}"


def test_a_name_that_changes_its_answer_after_the_check_is_refused(server):
    """Rebinding: what is allowed when it is looked at, another one when it is connected to."""
    answers = itertools.chain([["127.0.0.2"]], itertools.repeat(["127.0.0.1"]))
    server.answers["/"] = plain(b"secret")
    with fetcher(("127.0.0.2",), resolve=lambda _host: next(answers)) as fetch:
        for _ in range(3):
            with pytest.raises((FetchRefused, FetchFailed)):
                fetch.get(server.url("/", "media.invalid"), max_bytes=9)
    assert server.asked == []


def test_loopback_is_not_asked_unless_it_is_named(server):
    with fetcher(()) as fetch, pytest.raises(FetchRefused, match="AETHEX_FETCH_ALLOW"):
        fetch.get(server.url("/"), max_bytes=9)
    assert server.asked == []


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.2/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/"),
        *("http://0.0.0.0/", "file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.2/", "http://["),
        *("http://u:p@127.0.0.1/", "gopher://127.0.0.1/", "http://127.0.0.1:22/"),
    ],
)
def test_a_redirect_is_checked_like_an_address(server, target):
    server.answers["/"] = redirect(target)
    with fetcher() as fetch, pytest.raises(FetchRefused):
        fetch.get(server.url("/"), max_bytes=9)


def test_redirects_are_followed_but_not_for_ever_and_take_no_secrets_to_others(server):
    server.answers |= {
        "/a": redirect("b?x=1"),
        "/b?x=1": redirect(server.url("/c", "localhost")),
        "/c": plain(b"there"),
        "/loop": redirect("/loop"),
    }
    resolve = {"localhost": ["127.0.0.1"]}
    with fetcher(resolve=resolve.__getitem__) as fetch:
        secret = {"Authorization": "Bearer secret", "Accept": "text/plain"}
        got = fetch.get(server.url("/a"), max_bytes=9, headers=secret)
        assert (got.body, got.url) == (b"there", server.url("/c", "localhost"))
        assert [a.headers.get("authorization") for a in server.asked] == [
            *("Bearer secret", "Bearer secret", None)
        ]
        with pytest.raises(FetchFailed, match="more than 5 redirects"):
            fetch.get(server.url("/loop"), max_bytes=9)
        server.answers["/post"] = redirect("/c")
        with pytest.raises(FetchFailed, match="answered 302"):
            fetch.request("POST", server.url("/post"), max_bytes=9, content=b"{}")


def endless(_asked: Asked, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        send(b"x" * 65536)


def lying(_asked: Asked, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")


def chunked(_asked: Asked, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        send(b"10000\r\n" + b"x" * 65536 + b"\r\n")


@pytest.mark.parametrize("say", [endless, chunked, plain(b"x" * 2000)])
def test_bodies_end_where_they_are_too_large(server, say, tmp_path):
    server.answers["/"] = say
    with fetcher() as fetch:
        with pytest.raises(FetchTooLarge, match="1000"):
            fetch.get(server.url("/"), max_bytes=1000)
        with pytest.raises(FetchTooLarge):
            fetch.download(server.url("/"), tmp_path / "a", max_bytes=1000)
    assert not (tmp_path / "a").exists()


def test_a_small_answer_does_not_become_a_large_one(server):
    bomb = gzip.compress(b"0" * 10_000_000)
    server.answers["/"] = plain(bomb, Content_Encoding="gzip")
    with fetcher() as fetch, pytest.raises(FetchFailed, match="gzip") as failed:
        fetch.get(server.url("/"), max_bytes=100_000)
    assert not failed.value.can_retry


def dripping(head: bytes):
    """A server that says one byte more each time just before one gives up on it."""

    def say(_asked: Asked, send: Send) -> None:
        send(head)
        for _ in range(200):
            time.sleep(0.05)
            send(b"x")

    return say


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_an_answer_that_drips_is_given_up(server, head):
    server.answers["/"] = dripping(head)
    with fetcher(limits=SHORT) as fetch, pytest.raises(FetchFailed, match="in time"):
        fetch.get(server.url("/"), max_bytes=9999)


def test_an_answer_that_stops_is_given_up(server):
    over = threading.Event()
    server.answers["/"] = lambda _asked, _send: over.wait(20) and None
    with fetcher(limits=SHORT) as fetch, pytest.raises(FetchFailed, match="in time"):
        fetch.get(server.url("/"), max_bytes=9)
    over.set()


@pytest.mark.parametrize(
    ("status", "can_retry"),
    [("404 Not Found", False), ("403 Forbidden", False), ("429 Slow", True), ("503 Away", True)],
)
def test_a_bad_answer_says_whether_it_may_get_better(server, status, can_retry):
    server.answers["/"] = plain(b"", status)
    with fetcher() as fetch, pytest.raises(FetchFailed) as failed:
        fetch.get(server.url("/"), max_bytes=9)
    assert (failed.value.can_retry, failed.value.status) == (can_retry, int(status[:3]))


def test_an_answer_of_another_kind_is_not_taken(server):
    server.answers["/"] = plain(b"<html>", Content_Type="text/html")
    with fetcher() as fetch:
        with pytest.raises(FetchFailed, match="'text/html', not video/"):
            fetch.get(server.url("/"), max_bytes=9, content_types=["video/", "application/mp4"])
        assert fetch.get(server.url("/"), max_bytes=9, content_types=["text/"]).body == b"<html>"


def test_a_body_that_breaks_off_is_no_answer(server):
    server.answers["/"] = lying
    with fetcher() as fetch, pytest.raises(FetchFailed, match="broke off"):
        fetch.get(server.url("/"), max_bytes=99)


# --- files ----------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 400


def download(server: Server, path: Path, **options):
    with fetcher() as fetch:
        return fetch.download(server.url("/f"), path, max_bytes=10**6, **options)


def test_a_file_is_there_when_it_is_whole_and_its_digest_is_told(server, tmp_path):
    server.answers["/f"] = file(BODY)
    told = []
    got = download(server, tmp_path / "f", on_bytes=lambda done, total: told.append((done, total)))
    assert (tmp_path / "f").read_bytes() == BODY
    assert (got.bytes, got.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert told[-1] == (len(BODY), len(BODY))
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_download_that_broke_off_goes_on_where_it_stopped(server, tmp_path):
    server.answers["/f"] = file(BODY, breaks_after=60_000)
    with pytest.raises(FetchFailed, match="broke off"):
        download(server, tmp_path / "f")
    assert not (tmp_path / "f").exists()
    got = download(server, tmp_path / "f")
    assert got.resumed_bytes > 0
    assert server.asked[1].headers["range"] == f"bytes={got.resumed_bytes}-"
    assert (tmp_path / "f").read_bytes() == BODY
    assert got.sha256 == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("tag", ['"v2"', 'W/"v1"'])
def test_a_file_that_has_changed_meanwhile_is_fetched_anew(server, tmp_path, tag):
    server.answers["/f"] = file(BODY, breaks_after=60_000)
    with pytest.raises(FetchFailed):
        download(server, tmp_path / "f")
    other = BODY[::-1]
    server.answers["/f"] = file(other, tag=tag)
    assert download(server, tmp_path / "f").resumed_bytes == 0
    assert (tmp_path / "f").read_bytes() == other


def test_a_version_without_a_name_of_its_own_is_fetched_anew(server, tmp_path):
    server.answers["/f"] = file(BODY, tag='W/"1"', breaks_after=60_000)
    with pytest.raises(FetchFailed):
        download(server, tmp_path / "f")
    server.answers["/f"] = file(BODY, tag='W/"1"')
    download(server, tmp_path / "f")
    assert "range" not in server.asked[1].headers
    assert (tmp_path / "f").read_bytes() == BODY


def test_what_is_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "f.part").write_bytes(BODY + b"more")
    (tmp_path / "f.tag").write_text('"v1"')
    server.answers["/f"] = file(BODY)
    with pytest.raises(FetchFailed) as failed:
        download(server, tmp_path / "f")
    assert failed.value.can_retry
    assert download(server, tmp_path / "f").bytes == len(BODY)


def test_a_part_that_was_not_asked_for_is_not_taken_for_the_file(server, tmp_path):
    server.answers["/f"] = plain(b"x", "206 Partial", Content_Range="bytes 5-5/6")
    with pytest.raises(FetchFailed, match="another part"):
        download(server, tmp_path / "f")
