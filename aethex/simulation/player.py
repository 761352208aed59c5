"""One player on one page: what its viewer does, and the events that it makes of it.

What belongs here: behaviour and the player's own events. What does not: who watches what (`crowd`),
and how events travel (`network`).

All times are whole milliseconds. Between two events a player does one thing only, so what was
watched is the time that it played, whatever is derived from events.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

BEAT_MS = 15_000
SILENCE_MS = 90_000
VIEW_MS = 10_000
LIVE_LATENCY_MS = 4_000


@dataclass(frozen=True)
class Content:
    """Something to watch. duration_ms: of a VOD; None: a live stream that began at began_ms."""

    id: str
    kind: str
    duration_ms: int | None
    began_ms: int

    @property
    def view_ms(self) -> int:
        """How much of it has to be watched to be a view."""
        if self.duration_ms is not None and self.duration_ms < 2 * VIEW_MS:
            return self.duration_ms // 2 + 1
        return VIEW_MS


@dataclass(frozen=True)
class PlayerEvent:
    """One event of a player, elapsed_ms after its session began."""

    type: str
    elapsed_ms: int
    position_ms: int
    is_paused: bool
    rate: float
    stalls: int
    stalled_ms: int
    from_position_ms: int | None = None


@dataclass
class Watch:
    """One session and the truth about it. start_ms: since 1970, on a clock that is right.

    viewed_ms: when it became a view, None: it did not.
    """

    session_id: str
    viewer_id: str | None
    content: Content
    start_ms: int
    user_agent: str | None = None
    rule: str | None = None
    """The rule that must mark it; None: a person."""
    events: list[PlayerEvent] = field(default_factory=list[PlayerEvent])
    watched_ms: int = 0
    present_ms: int = 0
    viewed_ms: int | None = None


class Player:
    """Plays one content for a while and writes down what happens."""

    def __init__(self, watch: Watch, position_ms: int = 0) -> None:
        self.watch = watch
        self._elapsed = 0
        self._position = position_ms
        self._is_paused = False
        self._rate = 1.0
        self._stalls = self._stalled_ms = 0
        self._next_beat = BEAT_MS
        self._last_event = 0
        self._untold_ms = 0  # played since the last event; nobody knows of it before the next
        self._emit("start")

    @property
    def elapsed_ms(self) -> int:
        return self._elapsed

    @property
    def is_at_end(self) -> bool:
        """Whether a VOD was played to its end."""
        duration = self.watch.content.duration_ms
        return duration is not None and self._position >= duration

    def play(self, ms: int) -> None:
        """Let it play (or, paused, let it be) for so long, or to the content's end."""
        end = self._elapsed + ms
        while self._elapsed < end and not (self.is_at_end and not self._is_paused):
            step = min(end, self._next_beat) - self._elapsed
            if not self._is_paused:
                step = self._advance(step)
            self._elapsed += step
            self._beat_if_due()
        if self.is_at_end and not self._is_paused:
            self._is_paused = True
            self._emit("end")

    def stall(self, ms: int) -> None:
        """Wait for data: time goes by, the playhead stands."""
        self._stalls += 1
        self._stalled_ms += ms
        end = self._elapsed + ms
        while self._elapsed < end:
            self._elapsed += min(end, self._next_beat) - self._elapsed
            self._beat_if_due()

    def pause(self, ms: int) -> None:
        """Pause for so long, and go on."""
        self._is_paused = True
        self._emit("pause")
        self.play(ms)
        self._is_paused = False
        self._emit("play")

    def seek(self, position_ms: int) -> None:
        before, self._position = self._position, position_ms
        self._emit("seek", before)

    def speed(self, rate: float) -> None:
        self._rate = rate
        self._emit("rate")

    def sleep(self, ms: int) -> None:
        """The page is hidden and then frozen: nothing plays or is told until it wakes up."""
        self._emit("hide")
        self._elapsed += ms
        self._next_beat = self._elapsed + BEAT_MS
        self._emit("play")

    def leave(self, *, says_so: bool) -> None:
        """Go away; a page that was closed says so, a phone without power does not."""
        if says_so:
            self._emit("hide")

    def _advance(self, ms: int) -> int:
        """Move the playhead; returns for how long it could."""
        duration = self.watch.content.duration_ms
        moved = int(ms * self._rate)
        if duration is not None and self._position + moved >= duration:
            moved = duration - self._position
            ms = max(1, -int(-moved // self._rate))
        self._position += moved
        self._untold_ms += min(moved, ms)
        return ms

    def _beat_if_due(self) -> None:
        if self._elapsed >= self._next_beat:
            self._next_beat += BEAT_MS
            self._emit("beat")

    def _emit(self, kind: str, from_position_ms: int | None = None) -> None:
        watch = self.watch
        if watch.events and self._elapsed - self._last_event <= SILENCE_MS:
            watch.present_ms += self._elapsed - self._last_event
        self._last_event = self._elapsed
        watch.watched_ms += self._untold_ms
        self._untold_ms = 0
        if watch.viewed_ms is None and watch.watched_ms >= watch.content.view_ms:
            watch.viewed_ms = watch.start_ms + self._elapsed
        watch.events.append(
            PlayerEvent(
                kind,
                self._elapsed,
                self._position,
                self._is_paused,
                self._rate,
                self._stalls,
                self._stalled_ms,
                from_position_ms,
            )
        )


def watch_as_people_do(watch: Watch, chance: random.Random, stay_ms: int) -> None:
    """Fill the watch with what somebody does who stays for about so long."""
    content = watch.content
    position = 0
    if content.duration_ms is None:
        position = max(0, watch.start_ms - content.began_ms - LIVE_LATENCY_MS)
    player = Player(watch, position)
    while player.elapsed_ms < stay_ms and not player.is_at_end:
        player.play(min(int(chance.expovariate(1 / 70_000)) + 300, stay_ms))
        if player.is_at_end or player.elapsed_ms >= stay_ms:
            break
        _do_something(player, chance)
    player.leave(says_so=chance.random() < 0.85)


def _do_something(player: Player, chance: random.Random) -> None:
    duration = player.watch.content.duration_ms
    what = chance.random()
    if what < 0.25:
        player.pause(chance.randint(500, 120_000))
    elif what < 0.45 and duration is not None:
        player.seek(chance.randrange(max(1, duration - 500)))
    elif what < 0.60:
        player.stall(chance.randint(200, 9_000))
    elif what < 0.68 and duration is not None:
        player.speed(chance.choice([0.5, 1.5, 2.0]))
        player.play(chance.randrange(2_000, 60_000, 2))
        player.speed(1.0)
    elif what < 0.71:
        player.sleep(chance.randint(SILENCE_MS + 5_000, 900_000))
