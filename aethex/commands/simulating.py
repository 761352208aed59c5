"""`aethex simulate` and `aethex replay`: made-up audiences, and landed windows, sent over HTTP.

What belongs here: arguments, progress, the report. What does not: the audience and the sending
(aethex/simulation).
"""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aethex.commands.opening import open_library
from aethex.commands.terminal import (
    output,
    parsed_time,
    print_json_line,
    print_report,
    progress_bar,
)
from aethex.settings import Settings, get_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aethex.simulation.network import Request
    from aethex.simulation.send import Sent

_UrlOption = Annotated[
    str | None, typer.Option(help="The service to send to. Default: the one of these settings.")
]
_JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the report as one line of JSON, the last of stdout.")
]


def add_commands(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.command("simulate")(simulate)
    app.command("replay")(replay)


def simulate(
    viewers: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people watch.")],
    minutes: Annotated[int, typer.Option(min=1, max=10_000, help="How long the stream lasts.")],
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same audience. Default: any.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="How many times faster than real; 0: as fast as it goes.")
    ] = 1.0,
    channel: Annotated[str, typer.Option(help="The channel that is watched.")] = "simulated",
    starts_at: Annotated[
        str | None,
        typer.Option(help="When the stream begins. Default: so that it ends as the sending does."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Where the truth is written. Default: data/simulations/<stream>.json."),
    ] = None,
    url: _UrlOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Send what a believable audience does to a running service, and write down the truth about it.

    People arrive, pause, seek and leave, chat around highlights and follow; their clocks are wrong
    and their requests are late, repeated and doubled; bots come too. They watch a stream made for
    it and the channel's VODs. `aethex pipeline refresh` then shows their numbers, which the truth
    says to the unit.
    """
    from aethex.simulation.crowd import gather
    from aethex.simulation.network import travel
    from aethex.simulation.stage import make_plan, platform_token
    from aethex.simulation.truth import truth_of

    settings = get_settings()
    chosen = random.randrange(2**31) if seed is None else seed
    with open_library(settings) as library, progress_bar() as tell:
        tell("Gathering the audience", None)
        plan = make_plan(
            library,
            channel=channel,
            stream=f"Simulated audience {chosen}",
            viewers=viewers,
            seed=chosen,
            began_at=parsed_time(starts_at) if starts_at else _begin(minutes, speed),
            length=timedelta(minutes=minutes),
        )
        requests = travel(crowd := gather(plan))
        facts = truth_of(crowd, requests)
        stream_id = facts["stream_id"]
        path = truth or settings.data_dir / "simulations" / f"{stream_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts, indent=1))
        with platform_token(library) as token:
            sent = _send(settings, url, token, requests, speed or None, tell)
    _report("Sent", {"seed": str(chosen), "stream": stream_id, "truth": str(path)}, sent, as_json)


def replay(
    window: Annotated[int, typer.Argument(min=1, help="Number of the publish window.")],
    url: _UrlOption = None,
    token: Annotated[
        str | None, typer.Option(help="A platform token of that service. Default: one of ours.")
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Send a landed window's events again, with their ids and times.

    To the same platform it changes nothing: they are there already. To another one it brings them.
    Viewer counts are left out: they come by import or from providers.
    """
    from aethex.lake import Lake
    from aethex.simulation.replay import requests_of_window
    from aethex.simulation.stage import platform_token

    settings = get_settings()
    with open_library(settings) as library, progress_bar() as tell, Lake.open(settings) as lake:
        tell("Reading the window", None)
        requests = list(requests_of_window(lake, window))
        if token is not None:
            sent = _send(settings, url, token, requests, None, tell)
        else:
            with platform_token(library) as mine:
                sent = _send(settings, url, mine, requests, None, tell)
    _report("Sent again", {"window": window}, sent, as_json)


def _begin(minutes: int, speed: float) -> datetime:
    """Now in real time; else so long ago that the last request is sent when it comes in."""
    from aethex.simulation.network import TAIL

    if speed == 1:
        return datetime.now(UTC)
    length = timedelta(minutes=minutes) + TAIL
    return datetime.now(UTC) - length + (length / speed if speed else timedelta())


def _send(
    settings: Settings,
    url: str | None,
    token: str,
    requests: Sequence[Request],
    speed: float | None,
    tell: Any,
) -> Sent:
    from aethex.simulation.send import send_all

    def progress(done: int) -> None:
        tell(f"Sending {len(requests):,} requests", done / len(requests))

    address = url or f"http://127.0.0.1:{settings.service_port}"
    return asyncio.run(send_all(address, token, requests, speed=speed, progress=progress))


def _report(title: str, what: dict[str, object], sent: Sent, as_json: bool) -> None:
    if as_json:
        counts = {"events": dict(sent.events), "reasons": dict(sent.reasons)}
        print_json_line({**what, "requests": sent.requests, "tries": sent.tries, **counts})
        return
    print_report(
        title,
        {
            **what,
            "requests": sent.requests,
            **{f"events {status}": count for status, count in sorted(sent.events.items())},
        },
    )
    for reason, count in sent.reasons.most_common(5):
        output.print(f"  {count:,} refused: {reason}")
