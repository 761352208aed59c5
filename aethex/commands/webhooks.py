"""`aethex webhooks …`: the inbox of what providers told.

What belongs here: arguments, progress, what the terminal shows. What does not: the inbox
(`library.inbox`), doing what it says (`service.inbox`).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_library
from aethex.commands.terminal import (
    output,
    parsed_time,
    print_report,
    print_table,
    progress_bar,
    utc_text,
)
from aethex.settings import get_settings

if TYPE_CHECKING:
    from aethex.library import WebhookEvent

app = typer.Typer(help="The inbox of what video providers told.", no_args_is_help=True)


def _known_provider(name: str | None) -> str | None:
    """A provider whose webhooks come in; a mistyped one would look as if it had told nothing."""
    from aethex.providers import ALL

    if name is not None and name not in ALL:
        raise typer.BadParameter(f"{name!r} is no provider of webhooks: give {', '.join(ALL)}.")
    return name


Provider = Annotated[
    str | None, typer.Option(help="Only this provider's.", callback=_known_provider)
]
Since = Annotated[
    str | None, typer.Option(help="Only what came in since, as 2026-01-31T18:30:00Z.")
]
State = Literal["waiting", "applied", "ignored"]


@app.command("list")
def list_webhooks(
    provider: Provider = None,
    since: Since = None,
    state: Annotated[State | None, typer.Option(help="Only those of this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """Show the latest webhooks: what they told, and what became of it."""
    from aethex.library import inbox

    with open_library(get_settings()) as library, library.session() as s:
        ids = inbox.select_ids(
            s, provider=provider, since=_since(since), state=state, limit=limit, newest_first=True
        )
        found = inbox.by_ids(s, ids)
        counts = inbox.count(s)
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "received", "provider", "kind", "input", "state", "note"):
        table.add_column(heading, no_wrap=heading in ("id", "received"), overflow="fold")
    for one in found:
        table.add_row(
            one.id,
            f"{one.received_at:%Y-%m-%d %H:%M:%S}",
            one.provider,
            one.kind,
            escape(one.external_id or ""),
            f"[yellow]{one.state}[/]" if one.state == "waiting" else one.state,
            escape(one.note),
        )
    print_table(table, "There are no such webhooks.")
    if counts:
        said = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
        output.print(f"[dim]In all: {said}.[/]")


@app.command()
def show(
    webhook_id: Annotated[str, typer.Argument(help="Id of the webhook, as the list shows it.")],
) -> None:
    """Show one webhook whole, as it is kept: without secrets."""
    from aethex.library import inbox

    with open_library(get_settings()) as library, library.session() as s:
        found = inbox.get(s, webhook_id)
    print_report(found.id, _as_rows(found))
    body = json.dumps(found.body, indent=2, ensure_ascii=False)
    output.print(body, markup=False, soft_wrap=True)  # folded it would be no JSON any more


@app.command()
def replay(
    webhook_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of webhooks; without any: all.")
    ] = None,
    provider: Provider = None,
    since: Since = None,
) -> None:
    """Read and apply webhooks again, in the order in which they came in.

    What was applied before changes nothing; what waited or failed is applied if it can be now.
    """
    from aethex.library import inbox as kept
    from aethex.service import inbox

    states: Counter[str] = Counter()
    with open_library(get_settings()) as library:
        with library.session() as s:
            if webhook_ids:
                ids = [kept.get(s, one).id for one in webhook_ids]
            else:
                ids = kept.select_ids(s, provider=provider, since=_since(since))
        with progress_bar() as tell:
            for number, webhook_id in enumerate(ids):
                tell(f"Replaying {number + 1:,} of {len(ids):,}", number / len(ids))
                states[inbox.apply(library, webhook_id, datetime.now(UTC), again=True)] += 1
    print_report("Replayed", {"webhooks": len(ids), **dict(sorted(states.items()))})


def _since(text: str | None) -> datetime | None:
    return parsed_time(text) if text is not None else None


def _as_rows(event: WebhookEvent) -> dict[str, object]:
    return {
        "provider": event.provider,
        "key": event.key,
        "kind": event.kind,
        "input": event.external_id or "",
        "recording": event.recording_id or "",
        "happened": utc_text(event.at),
        "received": utc_text(event.received_at),
        "state": event.state,
        "note": event.note,
        "failed attempts": event.attempts,
        "applied": utc_text(event.applied_at) if event.applied_at else "",
    }
