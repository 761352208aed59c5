"""Loudness of a VOD: measured in blocks of 100 ms inside the sandbox, put together outside of it.

What belongs here: measuring a batch of segments, and the document of all of them. What does not:
which segments make a batch (`derivation.py`).

Source: ITU-R BS.1770-4 (K-weighting, the gated integrated loudness of annex 1, page 4 ff.) as EBU
R 128 uses it; momentary (400 ms) and short-term (3 s) loudness by EBU Tech 3341. The windows are
measured by ffmpeg's `ebur128`, every 100 ms. BS.1770's gating blocks are 400 ms that overlap by
75 %, which are just these momentary values: so the integrated loudness is exact however the VOD was
cut into batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import numpy as np

from aethex.media.batch import Segment

BLOCK_MS = 100
LEAD_IN_MS = 3_600
"""How much a batch repeats of the one before it in the same run: the longest window, and room for
packets that straddle."""

SILENT_LUFS = -70.0
"""BS.1770's absolute gate: what is below counts as silence."""

_FLOOR_LUFS = -120.0
_RELATIVE_GATE_LU = 10.0
_MOMENTARY_BLOCKS, _SHORT_TERM_BLOCKS = 4, 30
_BLOCKS_A_SECOND = 1000 // BLOCK_MS


def measure(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """The loudness of a batch; for each run in it {`first`, `momentary`, `short_term`}, as JSON.

    Block n is the VOD's time `[100 n, 100 (n + 1))` ms, `first` the first one's n. A value is that
    of the window that ends with its block, in LUFS, or null where the window begins before the
    batch's part of the run. A run without sound is left out.
    """
    runs = groupby(segments, key=lambda segment: segment.init)
    return [found for _, run in runs if (found := _of_run(list(run))) is not None]


def _of_run(segments: Sequence[Segment]) -> dict[str, Any] | None:
    from aethex.media import derive  # the parent uses this module too, without PyAV

    parts = [segments[0].init, *(segment.path for segment in segments)]
    with derive.open_joined(parts) as opened:
        if not opened.streams.audio:
            return None
        first_block, blocks = _blocks(opened, segments[0].position_ms)
        momentary: list[float | None] = []
        short_term: list[float | None] = []
        for number, metadata in enumerate(blocks):
            momentary.append(_value(metadata, "M", number + 1 >= _MOMENTARY_BLOCKS))
            short_term.append(_value(metadata, "S", number + 1 >= _SHORT_TERM_BLOCKS))
    return {"first": first_block, "momentary": momentary, "short_term": short_term}


def _blocks(opened: Any, position_ms: int) -> tuple[int, Iterator[dict[str, str]]]:
    """The first block's number, and what the filter says of it and each that follows."""
    from aethex.media import container

    video, audio = opened.streams.video[0], opened.streams.audio[0]
    video_start: float | None = None
    frames: list[Any] = []  # sound that comes before the first picture in the file
    packets = container.packets(opened, video, audio)
    for packet in packets:
        if packet.stream_index == audio.index:
            frames += _decoded(packet)
        elif packet.pts is not None and video_start is None:
            video_start = float(packet.pts * container.time_base(video))
        if frames and video_start is not None:
            break
    if not frames or video_start is None:
        return 0, iter(())
    offset_ms = position_ms + (float(frames[0].time) - video_start) * 1000
    first_block = max(0, math.ceil(offset_ms / BLOCK_MS - 0.001))
    start = float(frames[0].time) + (first_block * BLOCK_MS - offset_ms) / 1000

    def sound() -> Iterator[Any]:
        yield from frames
        for packet in packets:
            if packet.stream_index == audio.index:
                yield from _decoded(packet)

    return first_block, _filtered(audio, sound(), max(0.0, start))


def _decoded(packet: Any) -> list[Any]:
    from aethex.media import container

    return container.decoded(packet.decode)  # a damaged packet becomes silence


def _filtered(audio: Any, frames: Iterator[Any], start: float) -> Iterator[dict[str, str]]:
    """Sound from `start` on in seconds, holes filled with silence, one answer a whole block."""
    from av.filter import Graph

    graph: Any = Graph()
    graph.link_nodes(
        graph.add_abuffer(template=audio),
        graph.add("aresample", "async=1"),
        graph.add("atrim", f"start={start:.6f}"),
        graph.add("ebur128", "metadata=1:framelog=quiet"),
        graph.add("abuffersink"),
    ).configure()
    samples = audio.rate * BLOCK_MS // 1000
    for frame in chain(frames, (None,)):
        graph.push(frame)
        yield from (block.metadata for block in _pulled(graph) if block.samples == samples)


def _pulled(graph: Any) -> Iterator[Any]:
    import av.error

    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _value(metadata: dict[str, str], window: str, is_full: bool) -> float | None:
    """In LUFS. The filter sums as it goes, so in digital silence its sum can fall below 0."""
    if not is_full:
        return None
    value = float(metadata[f"lavfi.r128.{window}"])
    return round(value, 2) if value > _FLOOR_LUFS else _FLOOR_LUFS


class Loudness:
    """What batches measured, put together on the VOD's time."""

    def __init__(self) -> None:
        self._momentary: dict[int, float] = {}
        self._short_term: dict[int, float] = {}

    def add(self, runs: Sequence[dict[str, Any]]) -> None:
        """Take a batch's answer. Of a block that two batches hold, the first one's value stays."""
        for run in runs:
            for kept, values in (
                (self._momentary, run["momentary"]),
                (self._short_term, run["short_term"]),
            ):
                for number, value in enumerate(values):
                    if value is not None:
                        kept.setdefault(run["first"] + number, value)

    def document(self, duration_ms: int) -> dict[str, Any]:
        """The JSON document: `unit`, `integrated`, and a value for each second in `momentary` and
        `short_term`; null where there is silence or no sound.

        A second's momentary loudness is the loudest of the windows that end in it, its short-term
        loudness that of the last one.
        """
        seconds = range(-(-duration_ms // 1000))
        return {
            "unit": "LUFS",
            "standard": "ITU-R BS.1770-4, EBU R 128",
            "integrated": integrated(list(self._momentary.values())),
            "momentary": [_audible(max(_in(self._momentary, s), default=None)) for s in seconds],
            "short_term": [_audible(next(_in(self._short_term, s), None)) for s in seconds],
        }


def integrated(momentary: Sequence[float]) -> float | None:
    """The gated loudness of all blocks in LUFS (BS.1770-4, annex 1, formulas 4 to 7); None when
    all of them are silent.
    """
    loudness = np.asarray(momentary, np.float64)
    loud = loudness[loudness > SILENT_LUFS]
    if loud.size == 0:
        return None
    gated = loud[loud > _mean(loud) - _RELATIVE_GATE_LU]
    return round(_mean(gated), 1)


def _mean(loudness: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The loudness of the mean power."""
    return float(-0.691 + 10 * np.log10(np.mean(10 ** ((loudness + 0.691) / 10))))


def _in(values: dict[int, float], second: int) -> Iterator[float]:
    """The values of a second's blocks, the last one first."""
    first = second * _BLOCKS_A_SECOND
    blocks = range(first + _BLOCKS_A_SECOND - 1, first - 1, -1)
    return (values[block] for block in blocks if block in values)


def _audible(value: float | None) -> float | None:
    return round(value, 1) if value is not None and value > SILENT_LUFS else None
