"""One MP4 with its index in front out of a VOD's segments, without ever holding the VOD.

What belongs here: the index, made of the segments' tables, and which bytes of which segment follow
it. What does not: reading tables (`fragments.py`, in the sandbox), moving bytes (whoever stores).

The index of an MP4 needs sizes and times of all samples, but no samples. So all segments are looked
at once, batch by batch, for their tables; then the index is written; then the samples follow,
copied out of the segments in the order of play. Times are those of the VOD: runs joined, whatever
is missing between them. Of a run's sound, what reaches into the next run's is left out. Runs with
other parameter sets have sample descriptions of their own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aethex.media import boxes
from aethex.media.batch import Segment
from aethex.media.errors import UnreadableMedia
from aethex.media.fragments import CHUNK, KINDS, SAMPLE
from aethex.media.sandbox import Limits, run_task

if TYPE_CHECKING:
    from aethex.settings import Settings

Table = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Mp4Plan:
    """An MP4 to be written: `header`, then for each segment, in order, these parts of its file, as
    (start, end) in bytes; `size_bytes` in all.
    """

    header: bytes
    parts: Sequence[Sequence[tuple[int, int]]]
    size_bytes: int


@dataclass(slots=True)
class _Run:
    """What of one init segment's run is known."""

    init: Path
    position_ms: int
    tracks: dict[str, Any]
    samples: dict[str, list[Table]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


class ProgressiveMp4:
    """Takes a VOD's segments in order, batch by batch, and says how its MP4 is written."""

    def __init__(self, scratch: Path, *, settings: Settings, subject: str) -> None:
        self._scratch = scratch.resolve()
        self._limits = Limits.of(settings)
        self._subject = subject
        self._runs: list[_Run] = []
        self._chunks: list[Table] = []
        self._chunk_runs: list[int] = []
        self._segments = 0
        self._duration_ms = 0

    def feed(self, batch: Sequence[Segment]) -> None:
        """Take the next segments. Raises MediaError when their tables cannot be read."""
        out = self._scratch / "index.npz"
        answer = run_task(
            "index",
            {"segments": [one.as_json() for one in batch], "out": str(out)},
            subject=self._subject,
            scratch=self._scratch,
            readable=[path for one in batch for path in (one.init, one.path)],
            limits=self._limits,
        )
        with np.load(out, allow_pickle=False) as saved:
            chunks = np.asarray(saved["chunks"], CHUNK)
            samples = {kind: np.asarray(saved[kind], SAMPLE) for kind in KINDS}
        out.unlink()
        self._sort_in(batch, answer["inits"], chunks, samples)

    def _sort_in(
        self,
        batch: Sequence[Segment],
        inits: dict[str, Any],
        chunks: Table,
        samples: dict[str, Table],
    ) -> None:
        taken = dict.fromkeys(KINDS, 0)
        for number, segment in enumerate(batch):
            if not self._runs or self._runs[-1].init != segment.init:
                self._runs.append(_Run(segment.init, segment.position_ms, inits[str(segment.init)]))
            run = self._runs[-1]
            here = chunks[chunks["segment"] == number]
            for chunk in here:
                kind = KINDS[int(chunk["track"])]
                until = taken[kind] + int(chunk["samples"])
                run.samples[kind].append(samples[kind][taken[kind] : until])
                taken[kind] = until
            moved = here.copy()
            moved["segment"] += self._segments
            self._chunks.append(moved)
            self._chunk_runs += [len(self._runs) - 1] * len(here)
            self._duration_ms = segment.end_ms
        self._segments += len(batch)

    def finish(self) -> Mp4Plan:
        """The plan of all that was fed. Raises UnreadableMedia when there is no picture in it."""
        chunks, runs = np.concatenate(self._chunks), np.asarray(self._chunk_runs, np.int64)
        tracks = [
            track
            for which, kind in enumerate(KINDS)
            if (track := _track(which, kind, self._runs, chunks, runs)) is not None
        ]
        if not tracks or tracks[0].which != 0:
            raise UnreadableMedia(f"{self._subject}: its segments hold no picture.")
        parts: list[list[tuple[int, int]]] = [[] for _ in range(self._segments)]
        for chunk in chunks:
            start = int(chunk["start"])
            parts[int(chunk["segment"])].append((start, start + int(chunk["bytes"])))
        data_bytes = int(chunks["bytes"].sum(dtype=np.int64))
        header = _header(tracks, chunks, self._duration_ms, data_bytes)
        return Mp4Plan(header, parts, len(header) + data_bytes)


@dataclass(slots=True)
class _Track:
    """A track of the MP4. Times in its timescale on the VOD's time; `kept` says for each of its
    chunks how many samples of it are in the index.
    """

    which: int
    timescale: int
    shown_size: tuple[int, int]
    entries: list[bytes]
    dts: Table
    offsets: Table
    sizes: Table
    sync: Table
    last_duration: int
    edit_start: int
    empty_ms: int
    chunk_numbers: Table
    kept: Table
    descriptions: Table

    @property
    def durations(self) -> Table:
        return np.append(np.diff(self.dts), self.last_duration)


def _track(
    which: int, kind: str, runs: Sequence[_Run], chunks: Table, chunk_runs: Table
) -> _Track | None:
    of_runs = {
        number: np.concatenate(run.samples[kind])
        for number, run in enumerate(runs)
        if kind in run.tracks and any(map(len, run.samples[kind]))
    }
    if not of_runs:
        return None
    first = runs[next(iter(of_runs))].tracks[kind]
    entries, descriptions = _descriptions(kind, {number: runs[number] for number in of_runs})
    times = [_times(runs[n], kind, found, first["timescale"]) for n, found in of_runs.items()]
    keep = _kept(which, [decode for decode, _ in times])
    decode = np.maximum.accumulate(np.concatenate([one for one, _ in times])[keep])
    present = np.concatenate([one for _, one in times])[keep]
    samples = np.concatenate(list(of_runs.values()))[keep]
    delay = max(0, int((decode - present).max()))
    begins, begins_shown = int(decode[0]), int(present.min())
    numbers = np.flatnonzero(chunks["track"] == which)
    return _Track(
        which=which,
        timescale=first["timescale"],
        shown_size=tuple(first["shown_size"]),
        entries=entries,
        dts=decode - begins,
        offsets=present - decode + delay,
        sizes=samples["size"],
        sync=samples["sync"],
        last_duration=int(samples["duration"][-1]),
        # Media time of the VOD's 0, or, where the track begins later, of its first sample.
        edit_start=max(0, begins_shown) - begins + delay,
        empty_ms=max(0, round(begins_shown * 1000 / first["timescale"])),
        chunk_numbers=numbers,
        kept=_kept_of_chunks(keep, chunks["samples"][numbers]),
        descriptions=np.array([descriptions.get(int(run), 1) for run in chunk_runs[numbers]]),
    )


def _descriptions(kind: str, runs: dict[int, _Run]) -> tuple[list[bytes], dict[int, int]]:
    """The different sample descriptions, and which, from 1, each run has."""
    entries: list[bytes] = []
    of_runs: dict[int, int] = {}
    for number, run in runs.items():
        entry = base64.b64decode(run.tracks[kind]["stsd"])
        if entry not in entries:
            entries.append(entry)
        of_runs[number] = entries.index(entry) + 1
    return entries, of_runs


def _kept_of_chunks(keep: Table, samples: Table) -> Table:
    """How many of each chunk's samples are kept."""
    ends = np.cumsum(samples, dtype=np.int64)
    before = np.concatenate([[0], np.cumsum(keep)])
    return before[ends] - before[ends - samples]


def _times(run: _Run, kind: str, samples: Table, timescale: int) -> tuple[Table, Table]:
    """Decode and presentation times on the VOD's time, where the run's first picture is at the
    run's position.
    """
    video = run.tracks["video"]
    first = run.samples["video"][0][:1]
    shown = int(first["dts"][0]) + int(first["offset"][0]) - video["edit_start"]
    zero = shown / video["timescale"]
    own = run.tracks[kind]
    offset_ticks = run.position_ms * timescale / 1000 - zero * timescale
    factor = timescale / own["timescale"]
    decode = (samples["dts"] - own["edit_start"]) * factor + offset_ticks
    present = decode + samples["offset"] * factor
    return np.rint(decode).astype(np.int64), np.rint(present).astype(np.int64)


def _kept(which: int, dts: Sequence[Table]) -> Table:
    """Which samples are in the index: of sound, none that reaches into the next run's."""
    if which == 0:
        return np.ones(sum(map(len, dts)), np.bool_)
    starts = [int(times[0]) for times in dts[1:]]
    return np.concatenate(
        [
            times < start if start is not None else np.ones(len(times), np.bool_)
            for times, start in zip(dts, [*starts, None], strict=True)
        ]
    )


def _header(tracks: Sequence[_Track], chunks: Table, duration_ms: int, data_bytes: int) -> bytes:
    """ftyp, moov and the head of mdat. The moov's size does not depend on what it says of offsets,
    so it is made twice.
    """
    kind = boxes.box(b"ftyp", b"isom", bytes([0, 0, 2, 0]), b"isom", b"iso2", b"avc1", b"mp41")
    moved = np.concatenate([[0], np.cumsum(chunks["bytes"], dtype=np.int64)[:-1]])
    size = len(kind) + len(_movie(tracks, moved, duration_ms)) + 16
    head = (1).to_bytes(4, "big") + b"mdat" + (data_bytes + 16).to_bytes(8, "big")
    return kind + _movie(tracks, moved + size, duration_ms) + head


def _movie(tracks: Sequence[_Track], offsets: Table, duration_ms: int) -> bytes:
    return boxes.movie(duration_ms, [_trak(track, offsets, duration_ms) for track in tracks])


def _trak(track: _Track, offsets: Table, duration_ms: int) -> bytes:
    filled = track.kept > 0
    numbers, kept = track.chunk_numbers[filled], track.kept[filled]
    durations, sizes = track.durations, track.sizes
    tables = [
        boxes.full_box(b"stsd", 0, 0, _u4(len(track.entries)), *track.entries),
        _runs_box(b"stts", durations),
        boxes.full_box(b"stsc", 0, 0, *_chunk_table(kept, track.descriptions[filled])),
        boxes.full_box(b"stsz", 0, 0, _u4(0), _u4(len(sizes)), sizes.astype(">u4").tobytes()),
        boxes.full_box(b"co64", 0, 0, _u4(len(numbers)), offsets[numbers].astype(">u8").tobytes()),
    ]
    if track.which == 0:
        tables.insert(2, _runs_box(b"ctts", track.offsets))
        keys = np.flatnonzero(track.sync) + 1
        tables.append(boxes.full_box(b"stss", 0, 0, _u4(len(keys)), keys.astype(">u4").tobytes()))
    return boxes.movie_track(
        boxes.VIDEO_TRACK if track.which == 0 else boxes.AUDIO_TRACK,
        is_video=track.which == 0,
        shown_size=track.shown_size,
        timescale=track.timescale,
        media_duration=int(durations.sum()),
        duration_ms=duration_ms,
        edits=_edits(track, duration_ms),
        tables=tables,
    )


def _edits(track: _Track, duration_ms: int) -> list[tuple[int, int]]:
    """(duration in ms, media time or -1 for nothing) of each edit."""
    edits = [(track.empty_ms, -1)] if track.empty_ms else []
    return [*edits, (duration_ms - track.empty_ms, track.edit_start)]


def _runs_box(kind: bytes, values: Table) -> bytes:
    """stts or ctts: how often each value stands in a row."""
    changes = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], changes])
    counts = np.diff(np.append(starts, len(values)))
    table = np.stack([counts, values[starts]], axis=1).astype(">u4")
    return boxes.full_box(kind, 0, 0, _u4(len(table)), table.tobytes())


def _chunk_table(kept: Table, descriptions: Table) -> Iterator[bytes]:
    rows = np.stack([kept, descriptions], axis=1)
    changes = np.flatnonzero((np.diff(rows, axis=0) != 0).any(axis=1)) + 1
    starts = np.concatenate([[0], changes])
    yield _u4(len(starts))
    yield np.column_stack([starts + 1, rows[starts]]).astype(">u4").tobytes()


def _u4(value: int) -> bytes:
    return value.to_bytes(4, "big")
