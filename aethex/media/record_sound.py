"""The sound of a run that is recorded: frame after frame, on a clock without holes.

What belongs here: where each frame goes, and silence where none came. What does not: when a run
begins and ends (`record.py`), frames themselves (`aac.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from aethex.media import aac
from aethex.media.boxes import Sample

_JITTER_SECONDS = 0.06
_LAG_SECONDS = 3.0  # sound that is so much later than the picture has stopped
_FRAME_SAMPLES = 1024


@dataclass(slots=True)
class RunSound:
    """The sound of a run: frames that wait to be written, on a clock without holes.

    What is missing is silence. A picture that never had sound has a silent track, too: players take
    no run whose tracks are other than those of the run before it.
    """

    config: bytes
    rate: int
    next_at: int
    """Where the next frame belongs, in samples."""
    is_heard: bool
    waiting: list[tuple[int, Sample]] = field(default_factory=list[tuple[int, Sample]])

    @classmethod
    def begin(cls, heard: bytes | None) -> Self:
        """The sound of a new run: of this config, or a silent one."""
        config = heard or aac.SILENT_CONFIG
        rate = aac.sample_rate(config) or 48_000
        return cls(config, rate, 0, heard is not None)

    def add(self, at: int, data: bytes) -> None:
        """A frame at `at` samples. One that overlaps what is there is left out."""
        jitter = _JITTER_SECONDS * self.rate
        if at - self.next_at > jitter:
            self._fill(at)
        if abs(at - self.next_at) <= jitter:
            at = self.next_at
        elif at < self.next_at:
            return
        self._put(at, data, _FRAME_SAMPLES)

    def _fill(self, until: int) -> None:
        """Silence up to there; of surround sound the last frame lasts so long."""
        silence = aac.silent_frame(self.config)
        while silence is not None and until - self.next_at >= _FRAME_SAMPLES // 2:
            self._put(self.next_at, silence, _FRAME_SAMPLES)
        if silence is None and self.waiting:
            at, last = self.waiting.pop()
            self._put(at, last.data, until - at)

    def _put(self, at: int, data: bytes, samples: int) -> None:
        self.waiting.append((at, Sample(data, samples, 0, True)))
        self.next_at = at + samples

    def end(self, at: int) -> None:
        """Nothing more comes: silence up to there, where the picture ends. An encoder that is cut
        off was behind with its sound, and players stall in what has no sound.
        """
        if at > self.next_at:
            self._fill(at)

    def take(self, end: int) -> list[tuple[int, Sample]]:
        """What came so far, for a segment that ends at `end` samples."""
        patience = _LAG_SECONDS * self.rate if self.is_heard else 0
        if end - self.next_at > patience:
            self._fill(end)
        taken, self.waiting = self.waiting, []
        return taken
