"""One look at a batch of a VOD's segments, inside the sandbox: stills, poster, loudness.

What belongs here: the task's request and answer. What does not: what is done with them
(`derivation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aethex.media import derive, loudness
from aethex.media.batch import Segment, Wanted
from aethex.media.errors import NoVideo
from aethex.media.stills import write_stills


def survey_task(request: dict[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """Look at a batch as `request` says; what was found, as JSON.

    `request`: `segments` (each {`init`, `path`, `position_ms`, `duration_ms`}, in order), how many
    of them `lead_in` is, which only loudness listens to; `stills` (see `stills.Wanted`) and
    `poster` ({`at_ms`, `path`} or null) to make where they lie in the batch; `out_dir`.
    """
    segments = [Segment.of(value) for value in request["segments"]]
    batch = segments[request["lead_in"] :]
    stills = write_stills(
        batch,
        [Wanted.of(value) for value in request["stills"]],
        Path(request["out_dir"]),
        lambda part: on_progress(part * 0.7),
    )
    has_poster = _make_poster(request["poster"], batch)
    return {"stills": stills, "has_poster": has_poster, "loudness": loudness.measure(segments)}


def _make_poster(poster: dict[str, Any] | None, batch: Sequence[Segment]) -> bool:
    """Whether there is one: it is not worth all the rest where nothing near it can be decoded."""
    if poster is None:
        return False
    at_ms = int(poster["at_ms"])
    shown = next((one for one in batch if one.position_ms <= at_ms < one.end_ms), None)
    if shown is None:
        return False
    of_run = [(one.path, one.position_ms) for one in batch if one.init == shown.init]
    try:
        derive.write_poster_at(shown.init, of_run, at_ms, Path(poster["path"]))
    except NoVideo:
        return False
    return True
