"""Spells: what an input's signals say about when it was live.

What belongs here: the pure fold from signals to spells. What does not: rows and sessions (`live`).

Signals count in the order of their own clock, not of arrival, and ties by their keys, so what they
say together does not depend on how they came:

- The first `connected` starts a spell; `connected` while connected says nothing new.
- `disconnected` leaves it waiting for the reconnect window. A `connected` no later than the
  window's last moment continues it; a later one starts the next spell. The first of several
  disconnects counts.
- `disconnected` of a connection that another one has taken the place of says nothing: servers tell
  of both at once, and which is heard first is chance. It is known by keys `source:<its id>:…`.
- `ended`, or a window that is over, ends it at the moment of the disconnect (of `ended` itself,
  where it was still connected). What connects after `ended` starts the next spell at once.
- `disconnected` and `ended` without a spell say nothing: nobody knows since when. Their `connected`
  may still come, and then they count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aethex.library.models import SignalKind


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal; `stream_id` is the stream that it was counted to so far."""

    kind: SignalKind
    at: datetime
    key: str
    stream_id: str | None = None

    @property
    def source(self) -> str | None:
        """The connection that it is of, where its key says."""
        mark, _, rest = self.key.partition(":")
        return rest.partition(":")[0] or None if mark == "source" else None


@dataclass(slots=True)
class Spell:
    """A time in which the input was live, `[started_at, ended_at)`."""

    started_at: datetime
    ended_at: datetime | None = None
    """None: it is live."""
    left_at: datetime | None = None
    """Since when a reconnect is awaited."""
    kept_id: str | None = None
    """The stream that it has to stay, of those that `fold` was told to keep apart."""
    signals: list[Signal] = field(default_factory=list[Signal])
    source: str | None = None
    """The connection that it is live by."""
    replaced: set[str] = field(default_factory=set[str])
    """Those that it was live by before."""


def fold(
    signals: Iterable[Signal],
    window: timedelta,
    now: datetime,
    kept_ids: Collection[str] = (),
) -> list[Spell]:
    """The spells that these signals (in any order, each once) make up, the earliest first.

    Only the last can be live. Streams in `kept_ids` are not joined: a spell that runs from one into
    the next is cut where the next one began.
    """
    spells: list[Spell] = []
    spell: Spell | None = None
    kept: set[str] = set()
    for signal in sorted(signals, key=lambda one: (one.at, one.key)):
        keeps = signal.stream_id in kept_ids and signal.stream_id not in kept
        if spell is not None and signal.kind == "connected":
            is_cut = keeps and spell.kept_id is not None
            is_over = spell.left_at is not None and signal.at - spell.left_at > window
            if is_cut or is_over:
                spell.ended_at = spell.left_at or signal.at
                spell = None
        if spell is None:
            if signal.kind != "connected":
                continue
            spell = Spell(signal.at)
            spells.append(spell)
        if keeps and spell.kept_id is None and signal.stream_id is not None:
            spell.kept_id = signal.stream_id
            kept.add(signal.stream_id)
        spell.signals.append(signal)
        spell = _after(spell, signal)
    if spell is not None and spell.left_at is not None and now - spell.left_at > window:
        spell.ended_at = spell.left_at
    return spells


def _after(spell: Spell, signal: Signal) -> Spell | None:
    """The open spell after one of its signals; None when that ended it."""
    match signal.kind:
        case "connected":
            spell.left_at = None
            if spell.source is not None:
                spell.replaced.add(spell.source)
            spell.source = signal.source
        case "disconnected" if signal.source != spell.source and signal.source in spell.replaced:
            pass
        case "disconnected":
            spell.left_at = spell.left_at or signal.at
        case "ended":
            spell.ended_at = spell.left_at or signal.at
            return None
    return spell
