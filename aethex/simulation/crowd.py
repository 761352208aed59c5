"""Who comes, to what, when, and what they say: people, bots, chat and follows.

What belongs here: the shape of an audience. What does not: what one player does (`player`), and how
events travel (`network`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from aethex.simulation.player import VIEW_MS, Content, Player, Watch, watch_as_people_do

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
MARGIN_MS = 3_000
"""How far from a full hour views become views, and from the stream's end chat is written, so that
no delay moves them across."""

_GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36",
)
_BURST = 60  # sessions of one bot in a minute; people's own bound is 50


@dataclass(frozen=True)
class Plan:
    """What is simulated. Times in ms since 1970; owner_id: of the channel, where it has one.

    stream: the live stream from began to ended; None: there are VODs only.
    """

    seed: int
    viewers: int
    began_ms: int
    ended_ms: int
    channel_id: str
    stream: Content | None
    vods: tuple[Content, ...]
    owner_id: str | None

    @property
    def minutes(self) -> int:
        return (self.ended_ms - self.began_ms) // MINUTE_MS

    @property
    def contents(self) -> tuple[Content, ...]:
        """All that can be watched."""
        return self.vods if self.stream is None else (self.stream, *self.vods)


@dataclass(frozen=True)
class Said:
    """A chat message, a follow or a like, as the platform's backend tells it. at_ms: when."""

    kind: str
    at_ms: int
    viewer_id: str
    event_id: str
    content: Content | None = None
    characters: int | None = None
    action: str | None = None


@dataclass(frozen=True)
class Crowd:
    """Everybody: their sessions, and what they said and followed."""

    plan: Plan
    watches: tuple[Watch, ...]
    said: tuple[Said, ...]


def gather(plan: Plan) -> Crowd:
    """The crowd of a plan; the same plan gives the same one."""
    chance = random.Random(plan.seed)
    people = [_person(chance, n) for n in range(plan.viewers)]
    watches = [watch for viewer_id in people for watch in _watches_of(plan, chance, viewer_id)]
    watches += _bots(plan, chance)
    said = [
        *_chat(plan, chance, watches),
        *_follows(plan, chance, people),
        *_likes(chance, watches),
    ]
    return Crowd(plan, tuple(watches), tuple(said))


def uuid(chance: random.Random) -> str:
    """A random UUID that follows from the seed."""
    return str(UUID(int=chance.getrandbits(128), version=4))


def _person(chance: random.Random, number: int) -> str | None:
    """Somebody's id: a quarter is signed in, some wish not to be tracked and have none."""
    what = chance.random()
    if what < 0.03:
        return None
    prefix = "usr" if what < 0.28 else "vw"
    return f"{prefix}_sim{number:06}{chance.getrandbits(40):010x}"


def _watches_of(plan: Plan, chance: random.Random, viewer_id: str | None) -> Iterator[Watch]:
    """What one person watches: the stream, a VOD or two, or both."""
    agent = chance.choice(_BROWSERS)
    contents: list[Content] = []
    if plan.stream is not None and (chance.random() < 0.75 or not plan.vods):
        contents.append(plan.stream)
    while plan.vods and (not contents or chance.random() < 0.25):
        contents.append(chance.choice(plan.vods))
    for content in contents:
        start = _arrival(plan, chance)
        stay = min(_stay(chance, content), plan.ended_ms - start)
        yield _watched(chance, viewer_id, content, start, agent, stay)
        if chance.random() < 0.1:  # the page is loaded again
            again = start + stay + chance.randint(1_000, 200_000)
            if again < plan.ended_ms - 5_000:
                rest = min(_stay(chance, content), plan.ended_ms - again)
                yield _watched(chance, viewer_id, content, again, agent, rest)


def _watched(
    chance: random.Random,
    viewer_id: str | None,
    content: Content,
    start_ms: int,
    agent: str,
    stay_ms: int,
) -> Watch:
    """One person's session; it begins a little later where its view would fall on a full hour."""
    behaviour = chance.getrandbits(64)
    session_id = uuid(chance)
    while True:
        watch = Watch(session_id, viewer_id, content, start_ms, agent)
        watch_as_people_do(watch, random.Random(behaviour), stay_ms)
        if watch.viewed_ms is None or _is_clear_of_hours(watch.viewed_ms):
            return watch
        start_ms += 2 * MARGIN_MS + 1


def _is_clear_of_hours(at_ms: int) -> bool:
    return MARGIN_MS <= at_ms % HOUR_MS <= HOUR_MS - MARGIN_MS


def _arrival(plan: Plan, chance: random.Random) -> int:
    """Most come at the start, others all the time."""
    length = plan.ended_ms - plan.began_ms
    if chance.random() < 0.5:
        after = chance.expovariate(1 / (length / 8))
    else:
        after = chance.uniform(0, length)
    return plan.began_ms + int(min(after, length - 6_000))


def _stay(chance: random.Random, content: Content) -> int:
    """Many leave at once, some stay for long."""
    typical = 6 * MINUTE_MS if content.duration_ms is None else content.duration_ms * 0.6
    return int(min(max(chance.lognormvariate(0, 1.1) * typical, 2_000), 3 * HOUR_MS))


# --- bots and the owner ---------------------------------------------------------------------------


def _bots(plan: Plan, chance: random.Random) -> Iterator[Watch]:
    """Sessions that no person has, each with the rule that must mark it."""
    for _ in range(max(2, plan.viewers // 200)):
        content, start = chance.choice(plan.contents), _arrival(plan, chance)
        watch = Watch(uuid(chance), None, content, start, _GOOGLE)
        watch.rule = "known_crawler"
        _play_on(watch, VIEW_MS * 2)
        yield watch
    yield from _burst(plan, chance, chance.choice(plan.contents))
    if plan.owner_id is not None:
        yield _owner(plan, chance, plan.owner_id)
    if plan.stream is not None and plan.ended_ms - plan.began_ms > DAY_MS + 2 * MINUTE_MS:
        yield _endless(plan, plan.stream, chance)


def _burst(plan: Plan, chance: random.Random, content: Content) -> Iterator[Watch]:
    """One viewer that opens more players in a minute than anybody can."""
    viewer_id = f"vw_burst{chance.getrandbits(40):010x}"
    minute = (_arrival(plan, chance) // MINUTE_MS) * MINUTE_MS
    minute = max(minute, plan.began_ms + MINUTE_MS - plan.began_ms % MINUTE_MS)
    for n in range(_BURST):
        start = minute + 2_000 + n * 900  # well within the minute, whatever the delay
        watch = Watch(uuid(chance), viewer_id, content, start, _BROWSERS[0])
        watch.rule = "over_50_sessions_a_minute"
        _play_on(watch, 5_000)
        yield watch


def _owner(plan: Plan, chance: random.Random, owner_id: str) -> Watch:
    start = plan.began_ms + MINUTE_MS
    watch = _watched(chance, owner_id, plan.contents[0], start, _BROWSERS[0], 4 * MINUTE_MS)
    watch.rule = "channel_owner"
    return watch


def _endless(plan: Plan, stream: Content, chance: random.Random) -> Watch:
    """A kiosk that plays for more than a day without a pause."""
    viewer_id = f"vw_kiosk{chance.getrandbits(40):010x}"
    watch = Watch(uuid(chance), viewer_id, stream, plan.began_ms)
    watch.rule = "no_pause_for_24_hours"
    _play_on(watch, DAY_MS + MINUTE_MS)
    return watch


def _play_on(watch: Watch, ms: int) -> None:
    player = Player(watch, 0 if watch.content.duration_ms is not None else ms)
    player.play(ms)
    player.leave(says_so=True)


# --- chat and follows -----------------------------------------------------------------------------


def _chat(plan: Plan, chance: random.Random, watches: Sequence[Watch]) -> Iterator[Said]:
    """Messages of those who watch the stream; many at once around a few highlights."""
    highlights = [
        chance.uniform(plan.began_ms, plan.ended_ms) for _ in range(3 + plan.minutes // 30)
    ]
    talkative = [
        watch
        for watch in watches
        if watch.content.duration_ms is None and watch.viewer_id and not watch.rule
    ]
    for watch in talkative:
        if chance.random() > 0.35:
            continue
        assert watch.viewer_id is not None
        begin, end = watch.start_ms, watch.start_ms + watch.events[-1].elapsed_ms
        times = [chance.randint(begin, end) for _ in range(int(chance.expovariate(0.4)) + 1)]
        for highlight in highlights:
            if begin < highlight < end and chance.random() < 0.6:
                times += [int(highlight + chance.expovariate(1 / 4_000)) for _ in range(3)]
        for at in times:
            if plan.began_ms <= at < plan.ended_ms - MARGIN_MS:
                characters = 1 + int(chance.expovariate(1 / 24))
                yield Said(
                    "chat", at, watch.viewer_id, uuid(chance), watch.content, characters=characters
                )


def _follows(plan: Plan, chance: random.Random, people: Sequence[str | None]) -> Iterator[Said]:
    """Follows of people who are signed in; some are taken back, also meanwhile."""
    for viewer_id in people:
        if viewer_id is None or not viewer_id.startswith("usr_") or chance.random() > 0.3:
            continue
        at = chance.randint(plan.began_ms, plan.ended_ms - 1_000)
        yield Said("follow", at, viewer_id, uuid(chance), action="follow")
        if chance.random() < 0.2:
            later = chance.randint(at + 1, plan.ended_ms)
            yield Said("follow", later, viewer_id, uuid(chance), action="unfollow")


def _likes(chance: random.Random, watches: Sequence[Watch]) -> Iterator[Said]:
    """Likes of people who are signed in and saw a VOD; a few are taken back."""
    for watch in watches:
        viewer_id = watch.viewer_id
        if watch.rule or watch.viewed_ms is None or watch.content.duration_ms is None:
            continue
        if viewer_id is None or not viewer_id.startswith("usr_") or chance.random() > 0.4:
            continue
        at = watch.viewed_ms
        yield Said("engagement", at, viewer_id, uuid(chance), watch.content, action="like")
        if chance.random() < 0.1:
            taken_back = Said(
                *("engagement", at + 1_000, viewer_id, uuid(chance), watch.content), action="unlike"
            )
            yield taken_back
