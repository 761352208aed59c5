"""`aethex inputs …`: where channels' live streams come in.

What belongs here: arguments and what the terminal shows. What does not: what adding, rotating and
removing are (`service.channel_inputs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_library
from aethex.commands.terminal import output, print_table
from aethex.settings import get_settings

if TYPE_CHECKING:
    from aethex.library import Library
    from aethex.service.channel_inputs import Given

app = typer.Typer(help="Inputs: where channels' live streams come in.", no_args_is_help=True)


@app.command()
def add(
    channel: Annotated[str, typer.Argument(help="Username of the channel.")],
    provider: Annotated[
        str,
        typer.Argument(
            help="rtmp, srt or pull, which our recorder takes, or a provider such as mux; what is "
            "none of them is answered with all there are."
        ),
    ],
    external_id: Annotated[
        str | None,
        typer.Argument(
            help="The id that the provider knows it by: a live input's id, or a path such as "
            "live/gdq. Not for rtmp, srt and pull, nor with --create."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    pull: Annotated[
        str | None,
        typer.Option(help="Address that the recorder pulls from: rtmp, rtmps, srt, http, https."),
    ] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make the live input at Cloudflare or Mux.")
    ] = False,
    recorded_by_provider: Annotated[
        bool | None,
        typer.Option(
            "--provider-records/--we-record",
            help="Who records. Default: Cloudflare and Mux do, for the others we do.",
        ),
    ] = None,
    reconnect_seconds: Annotated[
        int | None,
        typer.Option(help="How long after a disconnect a connect continues the stream."),
    ] = None,
) -> None:
    """Add an input. Its stream key is printed once: only a digest is stored.

    Webhooks that waited for it are applied.
    """
    from aethex.library.audit import COMMAND_LINE
    from aethex.service import channel_inputs

    settings = get_settings()
    if create and external_id is not None:
        raise typer.BadParameter("with --create the provider gives the id: leave it out")
    with open_library(settings) as library:
        wanted = channel_inputs.Wanted(
            channel_id=_channel_id(library, channel),
            provider=provider,
            external_id=external_id,
            name=name or (channel if create else ""),
            pull_url=pull,
            is_made=create,
            is_recorded_by_provider=recorded_by_provider,
            reconnect_seconds=reconnect_seconds,
        )
        given = channel_inputs.add(library, settings, COMMAND_LINE, wanted)
    output.print(f"{given.row.id} is added.", soft_wrap=True)
    if create:
        known_as = escape(given.row.external_id)
        output.print(f"{given.row.provider} knows it as {known_as}.", soft_wrap=True)
    _show_key(given)
    if given.applied:
        output.print(f"{given.applied} webhooks that waited for it are applied.")


@app.command("list")
def list_inputs(
    channel: Annotated[str | None, typer.Option(help="Only those of this channel.")] = None,
) -> None:
    """Show inputs: whose they are, who records them, and what is live."""
    from aethex.library import channels, inputs, live

    with open_library(get_settings()) as library:
        channel_id = _channel_id(library, channel) if channel is not None else None
        with library.session() as s:
            found = inputs.list_inputs(s, channel_id)
            names = channels.by_ids(s, {one.channel_id for one in found})
            streams = {one.id: live.live_stream(s, one.id) for one in found}
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "channel", "provider", "its id", "name", "recorded by", "live"):
        table.add_column(heading, no_wrap=heading in ("id", "provider", "live"), overflow="fold")
    for one in found:
        stream = streams[one.id]
        table.add_row(
            one.id,
            f"@{names[one.channel_id].username}",
            one.provider,
            "" if one.external_id == one.id else escape(one.external_id),
            escape(one.name),
            "provider" if one.is_recorded_by_provider else "us",
            f"[green]since {stream.started_at:%H:%M}[/]" if stream else "",
        )
    print_table(table, "There are no inputs yet: `aethex inputs add` makes one.")


@app.command()
def rotate(
    input_id: Annotated[str, typer.Argument(help="Id of the input, as the list shows it.")],
) -> None:
    """Give an input another stream key and print it, once; the old one is good no more."""
    from aethex.library.audit import COMMAND_LINE
    from aethex.service import channel_inputs

    settings = get_settings()
    with open_library(settings) as library:
        _show_key(channel_inputs.rotate(library, settings, COMMAND_LINE, input_id))


@app.command()
def end(
    input_id: Annotated[str, typer.Argument(help="Id of the input, as the list shows it.")],
) -> None:
    """End the stream that is live on an input, where its provider's word of the end was lost."""
    from aethex.library.audit import COMMAND_LINE
    from aethex.service import channel_inputs

    with open_library(get_settings()) as library:
        stream_id = channel_inputs.end(library, COMMAND_LINE, input_id)
    output.print(f"Stream {stream_id} has ended.", soft_wrap=True)


@app.command()
def remove(
    input_id: Annotated[str, typer.Argument(help="Id of the input, as the list shows it.")],
) -> None:
    """Remove an input. Its streams and VODs stay; at its provider nothing is changed."""
    from aethex.library.audit import COMMAND_LINE
    from aethex.service import channel_inputs

    with open_library(get_settings()) as library:
        channel_inputs.remove(library, COMMAND_LINE, input_id)
    output.print(f"{input_id} is removed.", soft_wrap=True)


def _channel_id(library: Library, username: str) -> str:
    from aethex.library import NotInLibrary, channels

    with library.session() as s:
        found = channels.by_username(s, username)
    if found is None:
        raise NotInLibrary(f"There is no channel {username!r}: check its username.")
    return found.id


def _show_key(given: Given) -> None:
    if given.key is None or given.address is None:
        return
    output.print("\nPublish to", soft_wrap=True)
    output.print(given.address, soft_wrap=True, highlight=False, markup=False)
    output.print("with this stream key. Keep it, it is not shown again:\n", soft_wrap=True)
    output.print(given.key, soft_wrap=True, highlight=False, markup=False)
    if ":PORT" in given.address:
        output.print(
            "\nSRT needs a port of its own: add it and the key to AETHEX_SRT_INPUTS, as 9001=key, "
            "and restart the recorder.",
            soft_wrap=True,
        )
