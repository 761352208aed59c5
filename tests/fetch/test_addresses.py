"""Only public addresses are asked, and those that are named."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.fetch import FetchFailed, FetchRefused, checked_address
from aethex.fetch.addresses import Policy
from aethex.settings import Settings

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::1.1.1.1", "2002:101:101::1"]

NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1"),
    *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8"),
    *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:db8::1", "2001:10::1", "2001:20::1", "2002:7f00:1::", "2002:a00:1::1"),
    *("2002:a9fe:a9fe::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
    *("fe80::1%eth0", "fec0::1", "ff02::1"),
    *("::ffff:0:127.0.0.1", "::ffff:0:a9fe:a9fe", "200::1", "1::1", "4000::1", "8000::1"),
]


def settings(*allow: str) -> Settings:
    return Settings(_env_file=None, fetch_allow=allow)  # pyright: ignore[reportCallIssue]


def check(url: str, *answers: str, allow: tuple[str, ...] = (), **options):
    return checked_address(url, settings(*allow), resolve=lambda _host: answers, **options)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_asked(address):
    assert check("https://name.example/", address).addresses == (str(ip_address(address)),)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_others_are_not_by_name_nor_by_number(address):
    with pytest.raises(FetchRefused, match="AETHEX_FETCH_ALLOW"):
        check("https://name.example/", address)
    bare = address.partition("%")[0]
    host = f"[{bare}]" if ":" in bare else bare
    with pytest.raises(FetchRefused):
        check(f"https://{host}/")


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "127.1", "0177.0.0.1", "localhost"])
def test_other_spellings_of_loopback_are_seen_through(host):
    with pytest.raises(FetchRefused, match=r"is no address|no public address"):
        checked_address(f"http://{host}/", settings())


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(FetchRefused, match=r"10\.0\.0\.1"):
        check("https://name.example/", "1.1.1.1", "10.0.0.1")


@pytest.mark.parametrize(
    ("allow", "url", "address"),
    [
        ("127.0.0.0/8", "http://name.example/", "127.0.0.1"),
        ("127.0.0.0/8", "http://127.0.0.1:8080/", ""),
        ("127.0.0.0/8", "http://name.example/", "::ffff:127.0.0.1"),
        ("10.0.5.7", "http://name.example/", "10.0.5.7"),
        ("Media.Internal", "http://media.internal./", "192.168.1.1"),
        ("::1", "http://[::1]:9000/", ""),
    ],
)
def test_what_is_named_is_asked_though_it_is_private(allow, url, address):
    assert check(url, address, allow=(allow,)).addresses


@pytest.mark.parametrize(
    ("allow", "address"),
    [
        ("10.0.5.0/24", "10.0.6.1"),
        ("media.internal", "224.0.0.1"),
        ("media.internal", "0.0.0.0"),
        ("0.0.0.0/0", "224.0.0.1"),
        ("other.internal", "10.0.0.1"),
    ],
)
def test_what_is_named_opens_nothing_else(allow, address):
    with pytest.raises(FetchRefused):
        check("http://media.internal/", address, allow=(allow,))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://a.example/",
            "file:///etc/passwd",
            "gopher://a.example/",
            "a.example/x",
            "",
            "//a",
        ),
        *("http:///x", "http://", "http://user@a.example/", "http://u:p@a.example/"),
        *("http://a.example:22/", "http://a.example:25/", "http://a.example:0/", "http://a:99999/"),
        *("http://a.example\\@b.example/", "http://a.example/ x", "http://a.example/\r\nX: y"),
        "http://xn--/",
        *("http://[::1/", "http://a..example/" + "x" * 9000, "javascript:alert(1)"),
    ],
)
def test_what_is_no_address_to_ask_is_refused_in_one_line(url):
    with pytest.raises(FetchRefused) as refused:
        check(url, "1.1.1.1")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_tokens_and_passwords_do_not_get_into_messages():
    with pytest.raises(FetchRefused) as refused:
        check("https://me:secret@a.example/v?token=secret#secret", "1.1.1.1")
    assert "secret" not in str(refused.value)


def test_a_name_without_an_address_may_have_one_later():
    with pytest.raises(FetchFailed, match="cannot be resolved") as failed:
        check("https://name.example/")
    assert failed.value.can_retry


def test_a_stream_to_pull_is_checked_and_pinned():
    found = check("rtmp://live.example/app/key?x=1", "1.1.1.1", "1.0.0.1", schemes=("rtmp", "srt"))
    assert (found.host, found.port, found.addresses) == (
        "live.example",
        1935,
        ("1.1.1.1", "1.0.0.1"),
    )
    assert found.pinned_url == "rtmp://1.1.1.1/app/key?x=1"
    six = check("srt://live.example:7000?streamid=a", "2606:4700::1111", schemes=("srt",))
    assert six.pinned_url.startswith("srt://[2606:4700::1111]:7000")


@given(st.ip_addresses())
def test_no_address_that_python_calls_private_is_ever_asked(address):
    try:
        Policy(()).resolved("name.example", lambda _host: [str(address)])
    except FetchRefused:
        return
    inner = getattr(address, "ipv4_mapped", None) or address
    assert inner.is_global
    assert not inner.is_private
    assert not inner.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_within_an_address_is_judged_by_what_is_within(address):
    def is_asked(text: str) -> bool:
        try:
            return bool(Policy(()).resolved("name.example", lambda _host: [text]))
        except FetchRefused:
            return False

    plain = is_asked(str(address))
    number = int(address)
    assert is_asked(f"::ffff:{address}") == plain
    assert is_asked(f"64:ff9b::{address}") == plain
    assert is_asked(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1") == plain
