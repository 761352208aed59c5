"""What the demo consists of: channels, streams, segments and films, as data.

What belongs here: names, times, sizes of audiences. What does not: making anything of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Part:
    """A segment of a stream: title, category, length, and how much it draws (1 is usual)."""

    title: str
    category: str
    minutes: int
    pull: float = 1.0


@dataclass(frozen=True)
class Film:
    """A video of a stream: which scene, how long, how many minutes into the stream it begins."""

    scene: str
    seconds: float
    title: str
    description: str
    minutes_in: float


@dataclass(frozen=True)
class DemoStream:
    """A stream so many days before the first start, at `hour` UTC."""

    title: str
    days_ago: int
    hour: float
    viewers: int
    """Typical number of viewers once people have come."""
    parts: tuple[Part, ...]
    raids: tuple[tuple[int, int], ...] = ()
    """(minute, viewers that another channel sends)."""
    outages: tuple[tuple[int, int], ...] = ()
    """(minute, length) where the poll of viewer counts failed."""
    chattiness: float = 0.05
    """Messages a viewer and minute."""
    film: Film | None = None

    @property
    def minutes(self) -> int:
        return sum(part.minutes for part in self.parts)

    def starts_at(self, anchor: datetime) -> datetime:
        """Its start, when the first start of the platform was on the day of `anchor` (midnight)."""
        return anchor - timedelta(days=self.days_ago) + timedelta(hours=self.hour)

    def anchor_of(self, started_at: datetime) -> datetime:
        """The inverse of `starts_at`."""
        return started_at + timedelta(days=self.days_ago) - timedelta(hours=self.hour)


@dataclass(frozen=True)
class DemoChannel:
    """A channel and its streams."""

    username: str
    title: str
    streams: tuple[DemoStream, ...] = field(default=())


CHANNELS = (
    DemoChannel(
        "pixelpilot",
        "Pixel Pilot",
        (
            DemoStream(
                "Cloud Runner any% grind",
                days_ago=12,
                hour=18,
                viewers=860,
                parts=(
                    Part("Warm-up and chat", "Just Chatting", 25, 0.7),
                    Part("Any% attempts", "Cloud Runner", 95, 1.1),
                    Part("Routing the cloud palace", "Cloud Runner", 50, 0.9),
                    Part("Questions and answers", "Just Chatting", 30, 0.8),
                ),
                raids=((88, 340),),
                film=Film(
                    "runner",
                    44,
                    "Cloud Runner: the clean island section",
                    "Every coin of the first islands without losing speed.",
                    71.5,
                ),
            ),
            DemoStream(
                "Coastal Sprint time trials",
                days_ago=8,
                hour=19,
                viewers=740,
                parts=(
                    Part("Car choice", "Coastal Sprint", 20, 0.8),
                    Part("Time trials: the palm road", "Coastal Sprint", 80, 1.15),
                    Part("Viewers choose the car", "Coastal Sprint", 45, 1.0),
                    Part("Wind-down", "Just Chatting", 20, 0.75),
                ),
                film=Film(
                    "racer",
                    42,
                    "Coastal Sprint: one lap on the palm road",
                    "The lap that took four tenths off the best time.",
                    63.0,
                ),
            ),
            DemoStream(
                "Cloud Runner: record night",
                days_ago=5,
                hour=18.5,
                viewers=1450,
                parts=(
                    Part("Warm-up and chat", "Just Chatting", 20, 0.6),
                    Part("Record attempts", "Cloud Runner", 140, 1.15),
                    Part("The record run", "Cloud Runner", 35, 2.1),
                    Part("Celebration", "Just Chatting", 40, 1.3),
                ),
                raids=((150, 900), (198, 600)),
                outages=((64, 9),),
                chattiness=0.09,
            ),
            DemoStream(
                "Coastal Sprint community cup",
                days_ago=2,
                hour=17,
                viewers=980,
                parts=(
                    Part("Draw", "Coastal Sprint", 15, 0.8),
                    Part("Group stage", "Coastal Sprint", 70, 1.0),
                    Part("Semi-finals", "Coastal Sprint", 40, 1.25),
                    Part("Final", "Coastal Sprint", 30, 1.7),
                    Part("Prize giving", "Just Chatting", 20, 0.9),
                ),
                raids=((95, 260),),
                chattiness=0.07,
            ),
        ),
    ),
    DemoChannel(
        "nightwindow",
        "Night Window",
        (
            DemoStream(
                "Neon Drive: synthwave for the road",
                days_ago=11,
                hour=21,
                viewers=310,
                parts=(
                    Part("Sunset set", "Music", 60, 1.0),
                    Part("Night set", "Music", 60, 1.2),
                ),
                outages=((77, 14),),
                chattiness=0.018,
                film=Film(
                    "neon",
                    42,
                    "Neon Drive: into the sun",
                    "A minute of the night set: 120 beats a minute and an endless grid.",
                    68.0,
                ),
            ),
            DemoStream(
                "Rain over Line 9",
                days_ago=6,
                hour=22,
                viewers=420,
                parts=(
                    Part("Rain and quiet", "Ambience", 90, 0.9),
                    Part("Late trains", "Music", 60, 1.15),
                    Part("Until the last train", "Ambience", 45, 0.8),
                ),
                chattiness=0.012,
                film=Film(
                    "city",
                    40,
                    "Rain over Line 9: the late train",
                    "Rain on the elevated line, with lo-fi chords.",
                    95.0,
                ),
            ),
            DemoStream(
                "Northern Window: aurora watch",
                days_ago=1,
                hour=19,
                viewers=530,
                parts=(
                    Part("Waiting for the sky", "Ambience", 50, 0.7),
                    Part("First curtains", "Ambience", 65, 1.2),
                    Part("Storm peak", "Ambience", 40, 1.9),
                    Part("Fading", "Ambience", 50, 0.9),
                ),
                raids=((122, 410),),
                chattiness=0.02,
                film=Film(
                    "aurora",
                    40,
                    "Northern Window: storm peak",
                    "The strongest minute of the night over the lake.",
                    131.0,
                ),
            ),
        ),
    ),
    DemoChannel(
        "orbital",
        "Orbital",
        (
            DemoStream(
                "Long Way to Kepler, part 1",
                days_ago=10,
                hour=16,
                viewers=1250,
                parts=(
                    Part("Mission briefing", "Just Chatting", 20, 0.7),
                    Part("Launch window", "Deep Space Sim", 45, 1.2),
                    Part("Coasting", "Deep Space Sim", 75, 0.9),
                    Part("Gravity assist", "Deep Space Sim", 40, 1.3),
                ),
                raids=((60, 380),),
            ),
            DemoStream(
                "Docking school",
                days_ago=7,
                hour=17,
                viewers=690,
                parts=(
                    Part("Theory in ten minutes", "Deep Space Sim", 15, 0.8),
                    Part("Viewers dock", "Deep Space Sim", 75, 1.0),
                    Part("Without instruments", "Deep Space Sim", 35, 1.3),
                ),
                outages=((41, 6),),
            ),
            DemoStream(
                "Long Way to Kepler, part 2",
                days_ago=3,
                hour=16,
                viewers=1680,
                parts=(
                    Part("Where we are", "Just Chatting", 15, 0.7),
                    Part("Ring crossing", "Deep Space Sim", 85, 1.25),
                    Part("Probe landing", "Deep Space Sim", 60, 1.5),
                    Part("Debrief", "Just Chatting", 35, 0.8),
                ),
                raids=((118, 720),),
                chattiness=0.06,
                film=Film(
                    "space",
                    40,
                    "Long Way to Kepler: past the rings",
                    "The approach to the ringed giant, seen from the cockpit.",
                    58.0,
                ),
            ),
        ),
    ),
)
