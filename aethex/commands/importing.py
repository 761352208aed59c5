"""`aethex import viewers|segments|video`: bring in one's own data.

What belongs here: arguments, progress, reports as tables or JSON. What does not: reading and
storing (aethex/imports).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from aethex.commands.opening import open_database
from aethex.commands.terminal import (
    output,
    parsed_time,
    print_json_line,
    print_report,
    progress_bar,
)
from aethex.settings import get_settings

if TYPE_CHECKING:
    from aethex.lake.import_values import Rejected
    from aethex.settings import Settings

app = typer.Typer(help="Bring in viewer counts, segments and videos.", no_args_is_help=True)

_ChannelOption = Annotated[
    str, typer.Option("--channel", help="The channel's username; it is made when it is missing.")
]
_StreamOption = Annotated[
    str,
    typer.Option("--stream", help="The stream's title, or its id; it is made when it is missing."),
]
_JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the report as one line of JSON, the last of stdout.")
]
_STAGES = {
    "reading": "Reading the file",
    "encoding": "Encoding what browsers cannot play",
    "packaging": "Packaging",
    "looking": "Storyboard and loudness",
    "uploading": "Storing",
    "waiting": "Waiting for another import of the same video",
}


@app.command("viewers")
def viewers(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, NDJSON, CSV or Parquet, one row a sample.")
    ],
    channel: _ChannelOption,
    stream: _StreamOption,
    time_field: Annotated[
        str | None,
        typer.Option(
            "--time-field", help="Field of the time; without a zone it is UTC. Default: guessed."
        ),
    ] = None,
    viewers_field: Annotated[
        str | None,
        typer.Option(
            "--viewers-field", help="Field of the viewers; null: the poll failed. Default: guessed."
        ),
    ] = None,
    chat_field: Annotated[
        str | None,
        typer.Option(
            "--chat-field", help="Field of the chat messages in that minute. Default: guessed."
        ),
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Land a stream's viewer counts; `aethex pipeline refresh` then shows them.

    The same file again, or one that overlaps it, doubles nothing.
    """
    with progress_bar() as tell, _database() as settings:
        from aethex.imports import import_viewers

        tell("Reading the file", 0.0)
        report = import_viewers(
            settings,
            path,
            channel=channel,
            stream=stream,
            time_field=time_field,
            viewers_field=viewers_field,
            chat_field=chat_field,
            progress=lambda at: tell(
                f"{at.rows:,} rows", at.bytes_read / at.bytes_total if at.bytes_total else None
            ),
        )
    file = report.file
    if as_json:
        print_json_line(report.as_dict())
    else:
        print_report(
            f"Viewers of {channel}, {stream}",
            {
                "rows read": file.rows_read,
                "imported": file.imported,
                "already present": file.already_present,
                "twice in the file": file.duplicates,
                "without a viewer count": file.null_viewers,
                "rejected": file.rejected_count,
                "first sample": file.first_at,
                "last sample": file.last_at,
                "stream": report.stream_id,
                "channel": report.channel_id,
            },
        )
        _print_rejected(file.rejected)
        if file.imported:
            output.print("  `aethex pipeline refresh` shows them now; Dagster, within minutes.")
    if file.rows_read and file.rejected_count == file.rows_read:
        raise typer.Exit(1)


@app.command("segments")
def segments(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSON, NDJSON, CSV or Parquet, one row a segment."),
    ],
    channel: _ChannelOption,
    stream: _StreamOption,
    name_field: Annotated[
        str | None, typer.Option("--name-field", help="Field of the title. Default: guessed.")
    ] = None,
    category_field: Annotated[
        str | None,
        typer.Option("--category-field", help="Field of the category. Default: guessed."),
    ] = None,
    start_field: Annotated[
        str | None,
        typer.Option(
            "--start-field", help="Field of the start; without a zone it is UTC. Default: guessed."
        ),
    ] = None,
    duration_field: Annotated[
        str | None,
        typer.Option(
            "--duration-field", help="Field of the duration: 1:02:03 or seconds. Default: guessed."
        ),
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Set a stream's segments: its title and category over time.

    They replace the segments that it has; the same file again changes nothing.
    """
    with progress_bar() as tell, _database() as settings:
        from aethex.imports import import_segments

        tell("Reading the file", None)
        report = import_segments(
            settings,
            path,
            channel=channel,
            stream=stream,
            name_field=name_field,
            category_field=category_field,
            start_field=start_field,
            duration_field=duration_field,
        )
    file = report.file
    if as_json:
        print_json_line(report.as_dict())
    else:
        print_report(
            f"Segments of {channel}, {stream}",
            {
                "rows read": file.rows_read,
                "segments": len(file.segments),
                "new": report.added,
                "changed": report.changed,
                "removed": report.removed,
                "shortened by the next": report.shortened,
                "twice in the file": file.duplicates,
                "rejected": file.rejected_count,
                "stream": report.stream_id,
                "channel": report.channel_id,
            },
        )
        _print_rejected(file.rejected)
    if file.rows_read and file.rejected_count == file.rows_read:
        raise typer.Exit(1)


@app.command("video")
def video(
    path: Annotated[
        Path, typer.Argument(metavar="FILE|PLAYLIST", help="A video file, or a local HLS playlist.")
    ],
    channel: _ChannelOption,
    stream: _StreamOption,
    starts_at: Annotated[
        str | None,
        typer.Option(
            "--starts-at",
            help="Wall clock of the first frame, such as 2026-01-31T18:30:00Z; without a zone "
            "it is UTC. Default: the stream's start.",
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="The VOD's title. Default: the stream's.")
    ] = None,
    description: Annotated[str, typer.Option("--description", help="Text below the video.")] = "",
    as_json: _JsonOption = False,
) -> None:
    """Archive a video as a VOD of a stream.

    H.264 with AAC is repackaged without encoding; what browsers cannot play is encoded. The same
    video again changes nothing.
    """
    at = parsed_time(starts_at) if starts_at else None
    with progress_bar() as tell, _database() as settings:
        from aethex.imports import import_video

        report = import_video(
            settings,
            path,
            channel=channel,
            stream=stream,
            starts_at=at,
            title=title,
            description=description,
            progress=lambda stage, share: tell(_STAGES.get(stage, stage.capitalize()), share),
        )
    if as_json:
        print_json_line(asdict(report))
        return
    print_report(
        f"Imported {escape(report.title)}"
        if report.is_new
        else f"Already imported: {escape(report.title)}",
        {
            "duration": f"{report.duration_seconds:,.1f} s",
            "size": f"{report.size_bytes / 1e6:,.1f} MB",
            "picture": f"{report.width} x {report.height}, {report.video_codec}",
            "sound": report.audio_codec or "none",
            "segments": report.segments,
            "first frame at": report.started_at,
            "vod": report.vod_id,
            "stream": report.stream_id,
            "channel": report.channel_id,
        },
    )
    for line in (*report.changes, *report.notes):
        output.print(f"  {escape(line)}")
    output.print(f"  {settings.effective_public_url}/vods/{report.vod_id}")


def _print_rejected(rejected: Mapping[str, Rejected]) -> None:
    """Why rows were refused, with the first of each kind."""
    for reason, group in rejected.items():
        output.print(f"  {group.count:,} rejected: {escape(reason)}")
        for example in group.examples:
            output.print(f"    {escape(f'{example.place}: {example.value}')}", style="dim")


@contextmanager
def _database() -> Iterator[Settings]:
    """The settings, with a migrated database behind them while the block runs."""
    settings = get_settings()
    with open_database(settings):
        yield settings
