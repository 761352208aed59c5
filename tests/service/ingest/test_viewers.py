"""Viewers' signed ids: what we signed is read back, and nothing else is."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from aethex.service.ingest.viewers import COOKIE, ViewerIds

OURS = ViewerIds(b"the service's key")
MAC_CHARACTERS = string.ascii_letters + string.digits + "-_"

ids = st.builds(OURS.new)


def test_new_ids_are_ulids_that_differ() -> None:
    some = {OURS.new() for _ in range(1000)}
    assert len(some) == 1000
    assert all(one.startswith("vw_") and len(one) == 29 for one in some)


@given(ids)
def test_what_was_signed_is_read(viewer_id: str) -> None:
    signed = OURS.sign(viewer_id)
    assert OURS.read(signed) == viewer_id
    assert signed.startswith(f"{viewer_id}.")
    assert ViewerIds(b"the service's key").read(signed) == viewer_id  # in another process, too


@given(ids, st.data())
def test_with_any_character_changed_it_is_nobodys(viewer_id: str, data: st.DataObject) -> None:
    signed = OURS.sign(viewer_id)
    place = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.characters().filter(lambda one: one != signed[place]))
    assert OURS.read(signed[:place] + other + signed[place + 1 :]) is None


@given(ids, st.data())
def test_shortened_or_with_more_it_is_nobodys(viewer_id: str, data: st.DataObject) -> None:
    signed = OURS.sign(viewer_id)
    assert OURS.read(signed[: data.draw(st.integers(0, len(signed) - 1))]) is None
    more = data.draw(st.text(min_size=1, max_size=10))
    assert OURS.read(signed + more) is None
    assert OURS.read(more + signed) is None


@given(ids, st.binary(min_size=1, max_size=64).filter(lambda key: key != b"the service's key"))
def test_signed_with_another_key_it_is_nobodys(viewer_id: str, key: bytes) -> None:
    assert OURS.read(ViewerIds(key).sign(viewer_id)) is None


@given(ids, ids)
def test_a_signature_is_of_one_id_alone(one: str, other: str) -> None:
    mac = OURS.sign(one).rpartition(".")[2]
    assert OURS.read(f"{other}.{mac}") is None


@given(ids)
def test_a_signature_has_one_spelling(viewer_id: str) -> None:
    """Base64 of 16 bytes leaves four bits over: other ends decode to the same bytes."""
    signed = OURS.sign(viewer_id)
    mac = signed.rpartition(".")[2]
    same = [
        mac[:-1] + end
        for end in MAC_CHARACTERS
        if end != mac[-1] and decoded(mac[:-1] + end) == decoded(mac)
    ]
    assert len(same) == 15
    for other in (*same, f"{mac}=", f"{mac}==", mac.replace("-", "+").replace("_", "/") + "=="):
        assert OURS.read(f"{viewer_id}.{other}") is None


def decoded(mac: str) -> bytes:
    return base64.urlsafe_b64decode(mac + "==")


@given(st.none() | st.text() | st.text(max_size=5).map(lambda text: text * 1000))
def test_anything_else_is_nobodys(anything: str | None) -> None:
    assert OURS.read(anything) is None


@pytest.mark.parametrize("is_https", [True, False])
def test_the_cookie_holds_the_signed_id(is_https: bool) -> None:
    response = Response()
    OURS.set_cookie(response, "vw_1", is_https=is_https)
    name, _, rest = response.headers["set-cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert (name, OURS.read(value)) == (COOKIE, "vw_1")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=34560000"} <= set(attributes)
    assert ("Secure" in attributes) == is_https
