"""A stream's numbers as tiles: what was counted, and what its players told.

What belongs here: which numbers, and their notes. What does not: how a tile looks (`parts`).
"""

from __future__ import annotations

from aethex.dashboards import parts, wording
from aethex.lake.analytics import StreamSummary
from aethex.lake.players import StreamPlayers


def counted(stream: StreamSummary) -> None:
    """What viewer counts and chat say of the stream, and how much of it was measured."""
    parts.tiles(_count_tiles(stream), "Numbers of the stream")


def told_by_players(players: StreamPlayers) -> None:
    """What only players, chat and follows can tell; what none of them told is left out."""
    if players.filtered.sessions is not None:
        parts.panel_title(
            "Who watched",
            "as players told it; known crawlers, your own sessions and bots are left out",
        )
    else:
        parts.panel_title("Chat and follows")
    measured = [t for t in _player_tiles(players) if t.value != wording.NOT_MEASURED]
    parts.tiles(measured, "What players told")


def _count_tiles(stream: StreamSummary) -> list[parts.Tile]:
    audience = stream.audience
    minutes = (audience.live_seconds or 0) / 60
    per_minute = audience.messages / minutes if audience.messages is not None and minutes else None
    return [
        _count_tile(
            "Peak viewers",
            audience.peak_viewers,
            wording.moment(audience.peak_at, zone=True) if audience.peak_at else "",
        ),
        parts.Tile(
            "Average viewers",
            wording.short_count(audience.average_viewers),
            exact="" if audience.average_viewers is None else f"{audience.average_viewers:,.2f}",
            note=f"over {wording.duration(audience.covered_seconds)} measured",
        ),
        _count_tile(
            "Chat messages",
            audience.messages,
            "" if per_minute is None else f"{wording.rate(per_minute)} per minute",
        ),
        parts.Tile(
            "Duration",
            wording.duration(audience.live_seconds),
            exact=wording.clock(audience.live_seconds),
            note="" if stream.is_final else "so far",
        ),
        parts.Tile(
            "Coverage", wording.percent(audience.coverage_ratio), note=_coverage_note(stream)
        ),
    ]


def _count_tile(label: str, value: int | None, note: str = "") -> parts.Tile:
    """A number of things, short, with all its digits on hover."""
    exact = wording.count(value)
    return parts.Tile(label, wording.short_count(value), exact=exact, note=note)


def _player_tiles(players: StreamPlayers) -> list[parts.Tile]:
    shown, raw = players.filtered, players.raw
    peak_at, messages = players.peak_concurrent_at, players.chat_messages
    return [
        _count_tile(
            "Unique viewers",
            shown.unique_viewers,
            _left_out(shown.unique_viewers, raw.unique_viewers),
        ),
        _count_tile("Views", shown.views, _left_out(shown.views, raw.views)),
        parts.Tile(
            "Watched",
            wording.hours(shown.watched_seconds),
            exact=wording.clock(shown.watched_seconds),
            note=_each(shown.watched_seconds, shown.unique_viewers),
        ),
        _count_tile(
            "Most players at once",
            shown.peak_concurrent,
            wording.moment(peak_at, zone=True) if peak_at else "",
        ),
        _count_tile(
            "People in chat",
            players.chatters,
            "" if messages is None else wording.plural(messages, "message"),
        ),
        _count_tile("New followers", players.new_followers),
    ]


def _left_out(shown: int | None, raw: int | None) -> str:
    """`1,730 with bots`; nothing where there were none."""
    return "" if raw is None or raw == shown else f"{raw:,} with bots"


def _each(seconds: float | None, viewers: int | None) -> str:
    """How long one viewer watched on average."""
    return f"{wording.duration(seconds / viewers)} a viewer" if seconds and viewers else ""


def _coverage_note(stream: StreamSummary) -> str:
    audience = stream.audience
    if audience.null_samples:
        return f"{audience.null_samples:,} of {audience.samples:,} samples not measured"
    if audience.coverage_ratio is not None and audience.coverage_ratio >= 1:
        return f"all {audience.samples:,} samples measured"
    return f"{audience.samples:,} samples"
