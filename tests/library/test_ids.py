"""Ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.library.ids import PREFIXES, is_id, new_id


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_new_id_is_recognised_by_its_own_prefix_only(prefix):
    made = new_id(prefix)
    assert [other for other in PREFIXES if is_id(other, made)] == [prefix]


def test_new_ids_differ():
    assert len({new_id("vod") for _ in range(1000)}) == 1000


@given(st.text(max_size=40))
def test_other_text_is_no_id(text):
    assert not is_id("vod", text)
    assert not is_id("vod", f"vod_{text}") or len(text) == 26


@pytest.mark.parametrize("change", [str.lower, lambda t: t[:-1] + "I", lambda t: "vod_8" + t[5:]])
def test_another_spelling_of_an_id_is_none(change):
    assert not is_id("vod", change(new_id("vod")))
