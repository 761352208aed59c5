"""Workers live as long as their heartbeat says so."""

from __future__ import annotations

from sqlalchemy import text

from aethex.library import Library, workers


def beat(library: Library, worker_id: str = "wrk_1", **options) -> None:
    with library.session() as s:
        workers.beat(s, worker_id, "archive", **options)


def is_alive(library: Library, kind: str = "archive", **options) -> bool:
    with library.session() as s:
        return workers.is_alive(s, kind, **options)


def test_a_worker_is_alive_while_it_tells_so(library):
    assert not is_alive(library)
    beat(library)
    assert is_alive(library)
    assert not is_alive(library, "clips")
    with library.session() as s:
        s.execute(text("update workers set heartbeat_at = now() - interval '25 s'"))
    assert not is_alive(library)
    with library.session() as s:
        assert [worker.id for worker in workers.silent(s, "archive")] == ["wrk_1"]
    beat(library)
    assert is_alive(library)
    with library.session() as s:
        assert workers.silent(s, "archive") == []


def test_one_that_only_ends_what_it_has_lives_but_takes_nothing(library):
    beat(library, is_taking=False, doing="archive rec_1")
    assert not is_alive(library)
    assert is_alive(library, is_taking=False)


def test_what_it_does_changes_and_where_it_runs_stays(library):
    beat(library, details={"host": "a", "pid": 7})
    beat(library, doing="archive rec_1")
    with library.session() as s:
        (worker,) = workers.listed(s)
    assert (worker.doing, worker.details) == ("archive rec_1", {"host": "a", "pid": 7})


def test_one_that_ended_well_is_no_more_there(library):
    beat(library)
    with library.session() as s:
        workers.remove(s, "wrk_1")
    assert not is_alive(library)
