"""Sessions, and what an unreachable database looks like."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from aethex.library import Channel, Library, new_id
from aethex.library.channels import by_username
from aethex.postgres import DatabaseUnreachable
from aethex.settings import Settings


def test_a_session_commits_when_its_block_ends_well(library: Library):
    with library.session() as s:
        s.add(Channel(id=new_id("ch"), username="gdq", title="GDQ"))
    with library.session() as s:
        assert by_username(s, "gdq") is not None


def test_a_session_rolls_back_when_its_block_raises(library: Library):
    def fail() -> None:
        with library.session() as s:
            s.add(Channel(id=new_id("ch"), username="gdq", title="GDQ"))
            s.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with library.session() as s:
        assert by_username(s, "gdq") is None


@pytest.mark.usefixtures("channel")
def test_objects_stay_readable_after_their_session(library: Library):
    with library.session() as s:
        found = by_username(s, "gdq")
    assert found is not None
    assert found.title == "Games Done Quick"
    assert found.created_at.utcoffset() is not None


@pytest.mark.usefixtures("channel")
def test_a_database_that_was_restarted_costs_no_error(library: Library):
    with library.session() as s:
        s.execute(text("select 1"))
    with library.engine.connect() as one, library.engine.connect() as other:
        pid = other.exec_driver_sql("select pg_backend_pid()").scalar_one()
        other.commit()
        one.exec_driver_sql("select pg_terminate_backend(%s, 5000)", (pid,))
        one.commit()
    for _ in range(2):
        with library.session() as s:
            assert by_username(s, "gdq") is not None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:secret@127.0.0.1:1/library",
        "postgresql://someone:secret@name.invalid/library",
        "postgres://someone:secret@127.0.0.1:1/library",
    ],
)
def test_an_unreachable_database_is_one_line_with_the_setting_and_no_password(url, tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=url)  # pyright: ignore
    with (
        pytest.raises(DatabaseUnreachable) as caught,
        Library.open(settings) as library,
        library.session() as s,
    ):
        s.execute(text("select 1"))
    message = str(caught.value)
    assert "\n" not in message
    assert "secret" not in message
    assert "AETHEX_DATABASE_URL" in message
    assert "someone" in message


def test_a_query_that_hangs_is_ended_by_its_time_limit(library: Library):
    with library.session() as s:
        assert s.scalar(text("show statement_timeout")) == "1min"
        assert s.scalar(text("show search_path")) == "public"
        assert s.scalar(text("show plan_cache_mode")) == "force_custom_plan"
