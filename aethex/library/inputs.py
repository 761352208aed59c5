"""Queries about channels' inputs: where their live streams come in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.errors import InvalidValue
from aethex.library.ids import new_id
from aethex.library.models import PROVIDER_PATTERN, ChannelInput, Stream
from aethex.library.values import valid_text


@dataclass(frozen=True)
class LiveInput:
    """A live stream and the provider's input that it comes in by."""

    stream_id: str
    channel_id: str
    provider: str
    external_id: str


def ensure_input(s: Session, channel_id: str, provider: str, external_id: str) -> ChannelInput:
    """The channel's input of that provider and id, made when it is missing.

    Raises InvalidValue when it is another channel's, or one of the names cannot be one.
    """
    if not re.fullmatch(PROVIDER_PATTERN, provider):
        raise InvalidValue(f"{provider!r} cannot be a provider: write it as cloudflare.")
    external_id = valid_text(external_id, "input's id")
    values = {
        "id": new_id("inp"),
        "provider": provider,
        "external_id": external_id,
        "channel_id": channel_id,
    }
    unique = ["provider", "external_id"]
    s.execute(insert(ChannelInput).values(values).on_conflict_do_nothing(index_elements=unique))
    found = s.scalars(
        select(ChannelInput).where(
            ChannelInput.provider == provider, ChannelInput.external_id == external_id
        )
    ).one()
    if found.channel_id != channel_id:
        raise InvalidValue(
            f"Input {external_id} of {provider} belongs to another channel: remove it there first."
        )
    return found


def live_inputs(s: Session) -> Sequence[LiveInput]:
    """All live streams whose input is known, by their ids."""
    query = (
        select(Stream.id, Stream.channel_id, ChannelInput.provider, ChannelInput.external_id)
        .join(ChannelInput, ChannelInput.id == Stream.input_id)
        .where(Stream.status == "live")
        .order_by(Stream.id)
    )
    return [LiveInput(*row) for row in s.execute(query)]
