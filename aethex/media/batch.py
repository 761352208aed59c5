"""What a look at a batch of segments is asked: the segments on the VOD's time, and stills of them.

What belongs here: shapes that the sandboxed child and its parent share. What does not: PyAV.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's files, and where on the VOD's time its first frame stands."""

    init: Path
    path: Path
    position_ms: int
    duration_ms: int

    @classmethod
    def of(cls, value: dict[str, Any]) -> Segment:
        return cls(
            Path(value["init"]), Path(value["path"]), value["position_ms"], value["duration_ms"]
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "init": str(self.init),
            "path": str(self.path),
            "position_ms": self.position_ms,
            "duration_ms": self.duration_ms,
        }

    @property
    def end_ms(self) -> int:
        return self.position_ms + self.duration_ms


@dataclass(frozen=True, slots=True)
class Wanted:
    """One still: of the keyframe at or before `wanted_ms`, or, where that one is earlier than
    `from_ms`, of the first frame from there on; within `box` pixels. `name` is its file's.
    """

    name: str
    from_ms: int
    wanted_ms: int
    box: tuple[int, int]

    @classmethod
    def of(cls, value: dict[str, Any]) -> Wanted:
        width, height = value["box"]
        return cls(value["name"], value["from_ms"], value["wanted_ms"], (width, height))
