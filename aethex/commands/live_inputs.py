"""`aethex inputs …`: where channels' live streams come in.

What belongs here: arguments and what the terminal shows. What does not: inputs (`library.inputs`),
making them at their provider (`aethex.providers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.sessions import open_library
from aethex.commands.terminal import output
from aethex.settings import Settings, get_settings

if TYPE_CHECKING:
    from aethex.library import ChannelInput, Library
    from aethex.providers import MadeInput

app = typer.Typer(help="Inputs: where channels' live streams come in.", no_args_is_help=True)

_KEYED = ("rtmp", "srt", "mediamtx", "srs", "nginx_rtmp")
"""Those that get a stream key from us."""


@app.command()
def add(
    channel: Annotated[str, typer.Argument(help="Username of the channel.")],
    provider: Annotated[
        str,
        typer.Argument(
            help="cloudflare, mux, mediamtx, srs, nginx_rtmp, owncast, rtmp, srt or pull."
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
    from aethex.library import inputs

    settings = get_settings()
    inputs.valid_provider(provider)
    key = inputs.new_stream_key() if provider in _KEYED else None
    with open_library(settings) as library:
        channel_id = _channel_id(library, channel)
        made = None
        if create:
            if external_id is not None:
                raise typer.BadParameter("with --create the provider gives the id: leave it out")
            made = _make(
                settings, provider, name or channel, recorded_by_provider, reconnect_seconds
            )
            external_id = made.external_id
        with library.session() as s:
            added = inputs.add_input(
                s,
                channel_id,
                provider,
                external_id,
                name=name,
                key=key,
                pull_url=pull,
                is_recorded_by_provider=recorded_by_provider,
                reconnect_seconds=reconnect_seconds,
            )
        applied = _apply_waiting(library, added)
    _show_added(settings, added, key, made)
    if applied:
        output.print(f"{applied} webhooks that waited for it are applied.")


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
    output.print(table if found else "There are no inputs yet: `aethex inputs add` makes one.")


@app.command()
def rotate(
    input_id: Annotated[str, typer.Argument(help="Id of the input, as the list shows it.")],
) -> None:
    """Give an input another stream key and print it, once; the old one is good no more."""
    from aethex.library import InvalidValue, inputs

    settings = get_settings()
    key = inputs.new_stream_key()
    with open_library(settings) as library, library.session() as s:
        found = inputs.get(s, input_id)
        if found.provider not in _KEYED:
            raise InvalidValue(
                f"The stream key of {input_id} is {found.provider}'s: change it there."
            )
        inputs.set_stream_key(s, input_id, key)
    _show_key(_address(settings, found), key)


@app.command()
def remove(
    input_id: Annotated[str, typer.Argument(help="Id of the input, as the list shows it.")],
) -> None:
    """Remove an input. Its streams and VODs stay; at its provider nothing is changed."""
    from aethex.library import inputs

    with open_library(get_settings()) as library, library.session() as s:
        inputs.remove(s, input_id)
    output.print(f"{input_id} is removed.", soft_wrap=True)


def _channel_id(library: Library, username: str) -> str:
    from aethex.library import NotInLibrary, channels

    with library.session() as s:
        found = channels.by_username(s, username)
    if found is None:
        raise NotInLibrary(f"There is no channel {username!r}: check its username.")
    return found.id


def _make(
    settings: Settings, provider: str, title: str, is_recorded: bool | None, seconds: int | None
) -> MadeInput:
    import httpx

    from aethex.library import InvalidValue, inputs
    from aethex.providers import INPUT_MAKERS
    from aethex.providers.making import API_SECONDS

    kind = INPUT_MAKERS.get(provider)
    if kind is None:
        raise typer.BadParameter(f"--create is for {' and '.join(INPUT_MAKERS)}")
    maker = kind.from_settings(settings)
    if maker is None:
        raise InvalidValue(f"--create needs {' and '.join(kind.needed_settings)}: set them.")
    window = inputs.default_reconnect_seconds(provider) if seconds is None else seconds
    with httpx.Client(timeout=API_SECONDS, trust_env=False) as http:
        return maker.make(
            http, title, is_recorded=is_recorded is not False, reconnect_seconds=window
        )


def _apply_waiting(library: Library, added: ChannelInput) -> int:
    from datetime import UTC, datetime

    from aethex.service import inbox

    def now() -> datetime:
        return datetime.now(UTC)

    return inbox.apply_for_input(library, added.provider, added.external_id, now)


def _show_added(
    settings: Settings, added: ChannelInput, key: str | None, made: MadeInput | None
) -> None:
    output.print(f"{added.id} is added.", soft_wrap=True)
    if made is not None:
        output.print(f"{added.provider} knows it as {escape(made.external_id)}.", soft_wrap=True)
    key = made.stream_key if made is not None else key
    if key is None:
        return
    _show_key(made.publish_url if made is not None else _address(settings, added), key)


def _show_key(address: str, key: str) -> None:
    output.print("\nPublish to", soft_wrap=True)
    output.print(address, soft_wrap=True, highlight=False, markup=False)
    output.print("with this stream key. Keep it, it is not shown again:\n", soft_wrap=True)
    output.print(key, soft_wrap=True, highlight=False, markup=False)


def _address(settings: Settings, added: ChannelInput) -> str:
    """Where an encoder publishes to; KEY stands for the stream key."""
    from urllib.parse import urlsplit

    host = urlsplit(settings.effective_public_url).hostname or "localhost"
    path = added.external_id
    return {
        "rtmp": f"rtmp://{host}:1935/live",
        "srt": f"srt://{host}:8890?mode=caller&streamid=KEY",
        "mediamtx": f"rtmp://<your MediaMTX>/{path}?key=KEY",
        "srs": f"rtmp://<your SRS>/{path}?key=KEY",
        "nginx_rtmp": f"rtmp://<your nginx>/{path}?key=KEY",
    }[added.provider]
