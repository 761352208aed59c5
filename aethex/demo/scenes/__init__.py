"""Moving pictures that the demo's videos show, one a file.

What belongs here: drawing. Each scene is a class that is made with a random generator and has
`draw(frame, at_seconds)`, which fills an array (720, 1280, 3) of bytes. What does not: encoding,
sound.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from aethex.demo.scenes.aurora import NorthernWindow
from aethex.demo.scenes.canvas import Bytes
from aethex.demo.scenes.city import RainCity
from aethex.demo.scenes.neon import NeonDrive
from aethex.demo.scenes.racer import CoastalSprint
from aethex.demo.scenes.runner import CloudRunner
from aethex.demo.scenes.space import DeepSpace


class Scene(Protocol):
    """Something that moves."""

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """Fill the frame with the picture at a time."""
        ...


SCENES: dict[str, Callable[[np.random.Generator], Scene]] = {
    "neon": NeonDrive,
    "aurora": NorthernWindow,
    "space": DeepSpace,
    "city": RainCity,
    "runner": CloudRunner,
    "racer": CoastalSprint,
}
