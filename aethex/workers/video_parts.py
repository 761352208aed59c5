"""What one packaged video becomes: its place in the store, its playlist, its rows.

What belongs here: pure values out of a package. What does not: packaging (aethex/media), uploading
and entering (`video`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from aethex.library import NewCaptions, NewRun, NewVod, NewVodSegment, Stream
from aethex.media.derivation import Derived
from aethex.media.playlist import PlaylistRun, PlaylistSegment, media_playlist
from aethex.media.vod import PLAYLIST_NAME, PackagedVod


@dataclass(frozen=True)
class Place:
    """Where an import goes: records that exist, ids and key prefixes that follow."""

    channel_id: str
    stream_id: str
    stream_title: str
    vod_id: str
    run_id: str

    @property
    def folder(self) -> str:
        """Of the stream's objects."""
        return f"vods/{self.channel_id}/{self.stream_id}"

    def run_key(self, name: str) -> str:
        """Of an object of the run."""
        return f"{self.folder}/{self.run_id}/{name}"

    def vod_key(self, name: str) -> str:
        """Of an object of the VOD as a whole."""
        return f"{self.folder}/{self.vod_id}/{name}"

    @property
    def playlist_key(self) -> str:
        """Of the playlist."""
        return self.vod_key(PLAYLIST_NAME)


@dataclass(frozen=True)
class CaptionFile:
    """Captions to be stored: their row, and the file."""

    new: NewCaptions
    path: Path


@dataclass(frozen=True)
class MadeVod:
    """What goes into the store beside the playlist: the package, what was made from it, and the
    captions that it came with.
    """

    packaged: PackagedVod
    derived: Derived
    derived_dir: Path
    captions: tuple[CaptionFile, ...] = ()
    notes: tuple[str, ...] = ()
    """About the captions; the package has its own."""
    has_mp4: bool = True
    """Whether the package's MP4 for download is wanted."""

    def files(self, place: Place) -> dict[str, Path]:
        """The files by their keys."""
        packaged = self.packaged
        parts = [packaged.init, *packaged.segments, packaged.poster]
        if self.has_mp4:
            parts.append(packaged.mp4)
        of_run = {place.run_key(part.name): packaged.out_dir / part.name for part in parts}
        of_vod = {place.vod_key(name): self.derived_dir / name for name in self.derived.names}
        return of_run | of_vod | {one.new.key: one.path for one in self.captions}

    @property
    def derived_bytes(self) -> int:
        """Of all that was made from it."""
        return sum((self.derived_dir / name).stat().st_size for name in self.derived.names)


def playlist_of(place: Place, packaged: PackagedVod, started_at: datetime) -> bytes:
    """The VOD's playlist; its addresses are relative, so they inherit the token of its own."""
    above = f"../{place.run_id}"
    segments = [
        PlaylistSegment(f"{above}/{segment.name}", segment.duration_ms)
        for segment in packaged.segments
    ]
    return media_playlist(
        [PlaylistRun(f"{above}/{packaged.init.name}", segments, started_at)]
    ).encode()


def new_vod(
    place: Place, made: MadeVod, size_bytes: int, title: str | None, description: str
) -> NewVod:
    """The VOD's row. Without a title it is called like its stream."""
    packaged, derived = made.packaged, made.derived
    return NewVod(
        id=place.vod_id,
        stream_id=place.stream_id,
        title=title or place.stream_title,
        description=description,
        duration_ms=packaged.duration_ms,
        size_bytes=size_bytes,
        width=packaged.width,
        height=packaged.height,
        frame_rate=packaged.frame_rate,
        video_codec=packaged.video_codec,
        audio_codec=packaged.audio_codec,
        playlist_key=place.playlist_key,
        poster_key=place.run_key(packaged.poster.name),
        mp4_key=place.run_key(packaged.mp4.name) if made.has_mp4 else None,
        mp4_bytes=packaged.mp4.bytes if made.has_mp4 else None,
        storyboard_key=place.vod_key(derived.storyboard),
        preview_key=place.vod_key(derived.preview),
        loudness_key=place.vod_key(derived.loudness),
        derived_bytes=made.derived_bytes,
    )


def new_run(place: Place, packaged: PackagedVod, stream: Stream, started_at: datetime) -> NewRun:
    """The row of its one run, placed on the stream's axis."""
    assert stream.started_at is not None, "a stream with bounds has a start"
    return NewRun(
        id=place.run_id,
        started_at=started_at,
        start_ms=round((started_at - stream.started_at) / timedelta(milliseconds=1)),
        pts_origin=packaged.pts_origin,
        init_key=place.run_key(packaged.init.name),
        init_bytes=packaged.init.bytes,
        init_sha256=packaged.init.sha256,
    )


def new_segments(place: Place, packaged: PackagedVod) -> list[NewVodSegment]:
    """The rows of its segments, in order."""
    return [
        NewVodSegment(
            run_id=place.run_id,
            sequence=sequence,
            key=place.run_key(segment.name),
            start_ms=segment.start_ms,
            duration_ms=segment.duration_ms,
            bytes=segment.bytes,
            sha256=segment.sha256,
        )
        for sequence, segment in enumerate(packaged.segments)
    ]
