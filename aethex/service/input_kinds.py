"""All kinds of inputs: those of our own recorder, and each provider's.

What belongs here: the recorder's own three, and asking by name. What does not: providers' (a file
each in `aethex.providers`).
"""

from __future__ import annotations

from aethex.library import InvalidValue
from aethex.providers import ALL, InputKind

_OWN = (
    InputKind("rtmp", "RTMP", "Push with RTMP to us.", is_keyed=True),
    InputKind(
        "srt",
        "SRT",
        "Push with SRT. Whoever runs this platform has to open a port for your key.",
        is_keyed=True,
    ),
    InputKind(
        "pull",
        "Pull from an address",
        "We fetch the stream whenever it is there: RTMP, RTMPS, SRT or HLS.",
        can_pull=True,
        must_pull=True,
    ),
)

KINDS: dict[str, InputKind] = {
    **{kind.name: kind for kind in _OWN},
    **{name: parts.kind for name, parts in ALL.items()},
}
"""By the name that inputs have; the simplest first."""


def kind_of(name: str) -> InputKind:
    """The kind of this name. Raises InvalidValue, which names them all."""
    if name not in KINDS:
        raise InvalidValue(f"{name!r} is no provider of inputs: give {', '.join(KINDS)}.")
    return KINDS[name]
