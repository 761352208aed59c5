"""`aethex token …`: server tokens, by which backends send events.

What belongs here: arguments and what the terminal shows. What does not: tokens (`library.tokens`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_session
from aethex.commands.terminal import output, print_table

if TYPE_CHECKING:
    pass

app = typer.Typer(help="Server tokens, by which backends send events.", no_args_is_help=True)

TokenId = Annotated[str, typer.Argument(help="Id of the token, as `aethex token list` shows it.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as 'chat relay'.")],
    channel: Annotated[
        str | None, typer.Option(help="Username of the one channel that it may send events of.")
    ] = None,
    platform: Annotated[
        bool, typer.Option("--platform", help="It may send events of all channels.")
    ] = False,
) -> None:
    """Make a token and print it, once: only its digest is stored."""
    if (channel is None) != platform:
        raise typer.BadParameter("give either --channel or --platform")
    from aethex.library import NotInLibrary, channels, tokens

    with open_session() as s:
        channel_id: str | None = None  # of no channel means of all, so nothing else may become it
        if channel is not None:
            found = channels.by_username(s, channel)
            if found is None:
                raise NotInLibrary(f"There is no channel {channel!r}: check --channel.")
            channel_id = found.id
        token, text = tokens.create(s, name, channel_id)
    _show_secret(token.id, text)


@app.command("list")
def list_tokens() -> None:
    """Show all tokens: whose they are, and whether they are still good."""
    from aethex.library import channels, tokens

    with open_session() as s:
        found = tokens.list_all(s)
        names = channels.by_ids(s, [token.channel_id for token in found if token.channel_id])
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "for", "created", "rotated", "state"):
        table.add_column(heading, no_wrap=heading not in ("name", "for"))
    for token in found:
        table.add_row(
            token.id,
            escape(token.name),
            f"@{names[token.channel_id].username}" if token.channel_id else "the platform",
            f"{token.created_at:%Y-%m-%d}",
            f"{token.rotated_at:%Y-%m-%d}" if token.rotated_at else "",
            "[red]revoked[/]" if token.revoked_at else "[green]good[/]",
        )
    print_table(table, "There are no tokens yet: `aethex token create` makes one.")


@app.command()
def rotate(
    token_id: TokenId,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=24 * 365, help="How long the old one stays good.")
    ] = 24.0,
) -> None:
    """Give a token a new text; the old one stays good for a while."""
    from aethex.library import tokens

    with open_session() as s:
        _, text = tokens.rotate(s, token_id, datetime.now(UTC), timedelta(hours=overlap_hours))
    _show_secret(token_id, text)
    output.print(f"The old one is good for {overlap_hours:g} more hours.")


@app.command()
def revoke(token_id: TokenId) -> None:
    """Make a token useless, for ever; the service knows within five seconds."""
    from aethex.library import tokens

    with open_session() as s:
        token = tokens.revoke(s, token_id, datetime.now(UTC))
    output.print(f"{escape(token.name)} ({token_id}) is revoked.", soft_wrap=True)


def _show_secret(token_id: str, text: str) -> None:
    output.print(f"{token_id}. Keep this, it is not shown again:\n", soft_wrap=True)
    output.print(text, soft_wrap=True, highlight=False)
