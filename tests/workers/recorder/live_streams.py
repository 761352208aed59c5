"""Live streams for the recorder's tests: FLV from real encoders, and captures fed with it.

What belongs here: making and feeding. What does not: expectations.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aethex.library import GapCause, Library, Stream, captures, channels, new_id
from aethex.media.ffmpeg import find_ffmpeg
from aethex.settings import Settings
from aethex.store import Store
from aethex.workers.recorder.archive import Archive
from aethex.workers.recorder.capture import Capture
from aethex.workers.recorder.finish import finish_capture
from aethex.workers.recorder.spool import Spool

START = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def make_flv(
    path: Path, seconds: float = 12, *, size: str = "320x180", sound: bool = True, gop: int = 60
) -> Path:
    """Moving pictures at 30 frames a second, H.264 with B-frames, and AAC."""
    pictures = f"-f lavfi -i testsrc2=size={size}:rate=30"
    tone = "-f lavfi -i sine=f=330:b=4 -c:a aac -b:a 64k" if sound else ""
    command = (
        f"{find_ffmpeg()} -y -v error {pictures} {tone} -t {seconds} -c:v libx264 "
        f"-preset superfast -bf 2 -g {gop} -pix_fmt yuv420p -f flv"
    )
    subprocess.run([*command.split(), str(path)], check=True)
    return path


def add_live_stream(library: Library, title: str = "Friday") -> Stream:
    """A stream of a channel that is live since START."""
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        stream = Stream(
            id=new_id("st"),
            channel_id=channel.id,
            title=title,
            status="live",
            started_at=START,
        )
        s.add(stream)
        s.flush()
        return stream


def end_stream(library: Library, stream_id: str, after: timedelta) -> None:
    """The stream ended so long after its start."""
    with library.session() as s:
        stream = s.get_one(Stream, stream_id)
        stream.status, stream.ended_at = "ended", START + after


@dataclass
class Studio:
    """A recorder's parts on one data folder, with a clock that the test sets."""

    settings: Settings
    library: Library
    store: Store
    instance: str = "one"
    now: datetime = START
    breaks: list[GapCause] = field(default_factory=list[GapCause])
    spool: Spool = field(init=False)
    archive: Archive = field(init=False)

    def __post_init__(self) -> None:
        self.spool = Spool(self.settings.recorder_dir, self.instance)
        self.archive = Archive(
            self.library, lambda: self.store, self.settings.recorder_disk_max_bytes, lambda: None
        )

    def capture(self, stream: Stream, input_id: str | None = None) -> Capture:
        """A new publication of the stream."""

        def note(cause: GapCause, at: datetime) -> None:
            self.breaks.append(cause)
            with self.library.session() as s:
                captures.note_break(s, stream.id, at, cause)

        return Capture(stream.id, input_id, self.spool, self.archive, lambda: self.now, note)

    async def feed(self, capture: Capture, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            await capture.write(piece)

    def record(
        self,
        stream: Stream,
        *flvs: Path,
        starts: Iterable[float] = (0.2,),
        input_id: str | None = None,
    ) -> None:
        """Record publications one after the other, each beginning so many seconds after START, and
        upload all of it.
        """

        async def run() -> None:
            for flv, at in zip(flvs, starts, strict=True):
                self.now = START + timedelta(seconds=at)
                capture = self.capture(stream, input_id)
                await self.feed(capture, pieces_of(flv))
                await capture.finish()
            assert await self.archive.drain(30)

        # In a thread: the tests' own may have playwright's event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, run()).result()

    def finish(self, clock: Callable[[], datetime] = lambda: START) -> None:
        """Finish what is over."""
        with self.library.session() as s:
            waiting = captures.to_finish(s)
        for one in waiting:
            assert finish_capture(self.settings, self.library, self.store, one, clock)

    def close(self) -> None:
        self.archive.close()
        self.spool.close()


def pieces_of(path: Path, size: int = 50_000) -> Iterable[bytes]:
    """A file's bytes as a network brings them."""
    data = path.read_bytes()
    return (data[start : start + size] for start in range(0, len(data), size))


def decoded_frames(settings: Settings, playlist_key: str) -> int:
    """How many pictures can be decoded of a playlist in the folder store, run by run and without a
    complaint. ffmpeg's own reader of playlists does not cross discontinuities well.
    """
    folder = (settings.data_dir / "store" / playlist_key).parent
    text = (folder / Path(playlist_key).name).read_text()
    frames = 0
    for part in text.split('#EXT-X-MAP:URI="')[1:]:
        names = [part.split('"')[0], *(line for line in part.splitlines() if line.endswith("m4s"))]
        joined = b"".join((folder / name).read_bytes() for name in names)
        command = f"{find_ffmpeg()} -v warning -i - -map 0:v -f framemd5 -"
        answer = subprocess.run(command.split(), input=joined, capture_output=True, check=True)
        assert answer.stderr == b""
        frames += sum(not line.startswith(b"#") for line in answer.stdout.splitlines())
    return frames
