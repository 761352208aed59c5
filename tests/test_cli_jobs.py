"""`aethex jobs …`: what operators see of long work, and do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aethex.library import Library, jobs, leases
from tests.commands import Commands


@pytest.fixture
def aethex(tmp_path: Path, database_url: str) -> Commands:
    return Commands(tmp_path / "data", database_url)


def failed(library: Library, subject: str, kind: str = "archive") -> str:
    with library.session() as s:
        jobs.enqueue(s, kind, subject, {"from": "[here]"})
        claim = leases.claim(s, "wrk_1", [kind], 60)
        assert claim is not None
        leases.fail(s, claim, "[red] is no video", can_retry=False)
    return claim.id


def state_of(library: Library, job_id: str) -> str:
    with library.session() as s:
        return jobs.get(s, job_id).state


def test_jobs_are_listed_and_shown(aethex: Commands, library: Library) -> None:
    assert aethex("jobs", "list").stdout == "There are no such jobs.\n"
    broken = failed(library, "rec_1")
    with library.session() as s:
        waiting = jobs.enqueue(s, "derive", "vod_1")
        claim = leases.claim(s, "wrk_2", ["derive"], 60)
        assert claim is not None
        leases.renew(s, claim, 60, {"share": 0.25, "stage": "storyboard"})
    _, first, second, total = aethex("jobs", "list").stdout.splitlines()
    assert first.startswith(waiting)
    assert first.rstrip().endswith("attempt 1 of 5, 25% storyboard")
    assert second.startswith(broken)
    assert second.rstrip().endswith("failed   [red] is no video")
    assert total == "In all: 1 archive failed, 1 derive running."
    only = aethex("jobs", "list", "--state", "failed", "--kind", "derive").stdout
    assert "There are no such jobs." in only
    shown = aethex("jobs", "show", broken).stdout
    assert "[red] is no video" in shown
    assert '"from": "[here]"' in shown
    assert "There is no job job_x" in aethex("jobs", "show", "job_x").stderr


def test_failed_jobs_are_queued_again(aethex: Commands, library: Library) -> None:
    one, two, other = failed(library, "a"), failed(library, "b"), failed(library, "c", "derive")
    assert aethex("jobs", "retry", one).stdout == f"{one} is queued.\n"
    assert aethex("jobs", "retry", "--all-failed", "--kind", "archive").code == 0
    assert [state_of(library, id) for id in (one, two, other)] == ["queued", "queued", "failed"]
    assert aethex("jobs", "retry", "--all-failed").stdout == f"{other} is queued.\n"
    assert aethex("jobs", "retry", "--all-failed").stdout == "No job has failed.\n"


def test_a_wrong_id_among_those_to_retry_queues_none(aethex: Commands, library: Library) -> None:
    one = failed(library, "a")
    with library.session() as s:
        queued = jobs.enqueue(s, "archive", "b")
    outcome = aethex("jobs", "retry", one, queued)
    assert outcome.code == 1
    assert f"Job {queued} is queued: only one that failed or was cancelled" in outcome.stderr
    assert state_of(library, one) == "failed"


@pytest.mark.parametrize("arguments", [[], ["job_1", "--all-failed"], ["job_1", "--kind", "x"]])
def test_what_to_retry_has_to_be_said(aethex: Commands, arguments: list[str]) -> None:
    assert aethex("jobs", "retry", *arguments).code == 2


def test_a_job_is_cancelled_and_taken_up_again(aethex: Commands, library: Library) -> None:
    with library.session() as s:
        job_id = jobs.enqueue(s, "archive", "rec_1")
    assert "is cancelled." in aethex("jobs", "cancel", job_id).stdout
    assert "is cancelled: only an open one" in aethex("jobs", "cancel", job_id).stderr
    assert aethex("jobs", "retry", job_id).code == 0
    assert state_of(library, job_id) == "queued"
