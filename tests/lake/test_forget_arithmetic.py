"""No number depends on which ids viewers have: models computed after a forgetting say the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lake.session_reference import Session, audiences
from tests.lake.test_session_arithmetic import MANY, computed
from tests.model_runs import Row

IDS = ["vw_a", "vw_b", "vw_c"]
NEW = st.sampled_from(["vw_0", "vw_aa", "vw_zz", "zz", "0"])


def without_viewers(rows: list[Row]) -> list[Row]:
    return [{name: one for name, one in row.items() if name != "viewer_id"} for row in rows]


@settings(MANY, max_examples=12)
@given(audiences(), st.sampled_from(IDS), NEW)
def test_models_say_the_same_with_another_id(made: list[Session], old: str, new: str) -> None:
    assert_models_say_the_same(made, old, new)


@pytest.mark.soak
@MANY
@given(audiences(), st.sampled_from(IDS), NEW)
def test_many_models_say_the_same_with_another_id(made: list[Session], old: str, new: str) -> None:
    assert_models_say_the_same(made, old, new)


def assert_models_say_the_same(made: list[Session], old: str, new: str) -> None:
    others = [
        replace(session, viewer_id=new) if session.viewer_id == old else session for session in made
    ]
    before, after = computed(made), computed(others)
    for name, rows in before.items():
        assert without_viewers(rows) == without_viewers(after[name]), name
    for row, now in zip(before["sessions"], after["sessions"], strict=True):
        assert now["viewer_id"] == (new if row["viewer_id"] == old else row["viewer_id"])
