"""`aethex jobs …`: long work that waits, runs, or has failed.

What belongs here: arguments and what the terminal shows. What does not: what a job's states mean
(`library.jobs`), doing the work (`aethex.workers`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_session
from aethex.commands.terminal import output, print_report, print_table, utc_text

if TYPE_CHECKING:
    from aethex.library import Job

app = typer.Typer(help="Long work: what waits, runs, or has failed.", no_args_is_help=True)

Kind = Annotated[str | None, typer.Option(help="Only jobs of this kind, such as archive.")]
JobId = Annotated[str, typer.Argument(help="Id of the job, as the list shows it.")]
State = Literal["queued", "running", "done", "failed", "cancelled"]
_COLORS = {"failed": "red", "running": "green", "queued": "yellow"}


@app.command("list")
def list_jobs(
    kind: Kind = None,
    state: Annotated[State | None, typer.Option(help="Only those of this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """Show the newest jobs, and how many there are in all."""
    from aethex.library import jobs

    with open_session() as s:
        found = jobs.listed(s, kind=kind, state=state, limit=limit)
        counts = jobs.count_by_state(s, None if kind is None else [kind])
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "asked for", "kind", "of", "state", "what"):
        least = {"id": 30 if output.width >= 100 else 16, "what": 16}.get(heading)
        is_whole = heading in ("kind", "state")
        table.add_column(heading, no_wrap=is_whole, overflow="fold", min_width=least)
    now = datetime.now(UTC)
    for job in found:
        color = _COLORS.get(job.state, "dim")
        table.add_row(
            job.id,
            f"{job.created_at:%Y-%m-%d %H:%M:%S}",
            job.kind,
            escape(job.subject_id),
            f"[{color}]{job.state}[/]",
            escape(_what(job, now)),
        )
    print_table(table, "There are no such jobs.")
    if counts:
        said = ", ".join(f"{n:,} {of} {name}" for (of, name), n in sorted(counts.items()))
        output.print(f"[dim]In all: {said}.[/]")


@app.command()
def show(job_id: JobId) -> None:
    """Show one job whole: its attempts, its worker, how far it is, and why it failed."""
    from aethex.library import jobs

    with open_session() as s:
        job = jobs.get(s, job_id)
    print_report(job.id, _as_rows(job))
    output.print(json.dumps(job.payload, indent=2, ensure_ascii=False), markup=False)


@app.command()
def retry(
    job_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of jobs that failed or were cancelled.")
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all-failed", help="All that failed, not the cancelled ones.")
    ] = False,
    kind: Kind = None,
) -> None:
    """Queue jobs once more, with all of their attempts: all that are named, or none.

    A worker takes them up at once, or as soon as one lives.
    """
    from aethex.library import jobs
    from aethex.library.audit import COMMAND_LINE

    if is_all == bool(job_ids):
        raise typer.BadParameter("give ids of jobs, or --all-failed")
    if kind is not None and not is_all:
        raise typer.BadParameter("--kind goes with --all-failed")
    with open_session() as s:
        if job_ids:
            queued = [jobs.retry(s, COMMAND_LINE, one).id for one in dict.fromkeys(job_ids)]
        else:
            queued = jobs.retry_failed(s, COMMAND_LINE, kind)
    for one in queued:
        output.print(f"{one} is queued.", soft_wrap=True)
    if not queued:
        output.print("No job has failed.")


@app.command()
def cancel(job_id: JobId) -> None:
    """End a job that is queued or running. `retry` takes it up again.

    What a running one has made is thrown away; its worker learns of it within seconds.
    """
    from aethex.library import jobs
    from aethex.library.audit import COMMAND_LINE

    with open_session() as s:
        job = jobs.cancel(s, COMMAND_LINE, job_id)
    output.print(f"{job_id} ({job.kind} of {escape(job.subject_id)}) is cancelled.", soft_wrap=True)


def _what(job: Job, now: datetime) -> str:
    """What there is to say of it in a line."""
    if job.state == "done":
        return ""
    if job.state == "running":
        tried = f"attempt {job.attempts} of {job.max_attempts}"
        return ", ".join(filter(None, (tried, _progress(job))))
    waits = f"again at {job.run_after:%H:%M:%S}" if job.run_after > now else ""
    return ": ".join(filter(None, (waits if job.state == "queued" else "", job.error)))


def _progress(job: Job) -> str:
    share, stage = job.progress.get("share"), job.progress.get("stage", "")
    percent = f"{share:.0%}" if isinstance(share, int | float) else ""
    return f"{percent} {stage}".strip()


def _as_rows(job: Job) -> dict[str, object]:
    def at(moment: datetime | None) -> str:
        return utc_text(moment) if moment else ""

    return {
        "kind": job.kind,
        "of": job.subject_id,
        "state": job.state,
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "priority": job.priority,
        "asked for": at(job.created_at),
        "not before": at(job.run_after) if job.state == "queued" else "",
        "begun": at(job.started_at),
        "ended": at(job.finished_at),
        "worker": job.worker_id or "",
        "lease until": at(job.lease_until),
        "progress": _progress(job),
        "error": job.error or "",
    }
