"""The shape of what players told of a stream.

What belongs here: pydantic models with a description and an example for every field. What does not:
viewers counted by samples (`measures.py`), computing anything.
"""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, Field

from aethex.lake.players import StreamPlayers
from aethex.service.api.schemas import UtcTime


class PlayerMeasuresOut(BaseModel):
    """Sessions in numbers. null: no player was measured."""

    sessions: int | None = Field(description="Sessions that began.", examples=[1730])
    views: int | None = Field(description="Views.", examples=[1556])
    unique_viewers: int | None = Field(description="Different viewers, exactly.", examples=[1484])
    watched_seconds: float | None = Field(
        description="Time that was watched.", examples=[573779.484]
    )
    present_seconds: float | None = Field(
        description="Time that players were there while it was live.", examples=[697530.915]
    )
    peak_concurrent: int | None = Field(description="Most players at once.", examples=[412])
    average_concurrent: float | None = Field(
        description="present_seconds / live seconds.", examples=[193.8]
    )


class PlayersOut(BaseModel):
    """A stream's audience as its players, chat and follows told it."""

    filtered: PlayerMeasuresOut = Field(description="Without marked sessions: what is shown.")
    raw: PlayerMeasuresOut = Field(description="With known crawlers, the owner's own and bots.")
    peak_concurrent_at: UtcTime | None = Field(
        description="When the filtered peak began.", examples=["2026-01-30T20:14:05.120Z"]
    )
    chat_messages: int | None = Field(
        description="Chat messages; null: chat is not sent as events.", examples=[2617]
    )
    chatters: int | None = Field(description="Different people who wrote.", examples=[533])
    new_followers: int = Field(
        description="Who followed up to ten minutes after the end, and did not take it back.",
        examples=[130],
    )


def players_out(players: StreamPlayers) -> PlayersOut:
    """What players told, as the API answers it."""
    return PlayersOut(
        filtered=PlayerMeasuresOut(**asdict(players.filtered)),
        raw=PlayerMeasuresOut(**asdict(players.raw)),
        peak_concurrent_at=players.peak_concurrent_at,
        chat_messages=players.chat_messages,
        chatters=players.chatters,
        new_followers=players.new_followers,
    )
