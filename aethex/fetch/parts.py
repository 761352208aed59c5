"""Files that come in parts: a download that was broken off goes on where it stopped.

What belongs here: what is kept beside the file until it is whole. What does not: asking for it.

Beside `name` lies `name.part`, the bytes so far, and `name.tag`, the server's strong tag of the
version that they are of. Without a tag nothing promises that the rest would fit, so it begins anew.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aethex.fetch.answers import Answer, limited
from aethex.fetch.errors import FetchFailed, shown

_CHUNK_BYTES = 1024**2

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many there will be when that is known."""


@dataclass(frozen=True)
class Taken:
    """What is there after an answer, and how much of it was there before."""

    bytes: int
    sha256: str
    resumed_bytes: int


class Part:
    """A file that is not whole yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._tag = path.with_name(f"{path.name}.tag")

    def rest_headers(self) -> dict[str, str]:
        """The headers that ask for the rest, if it still is the same file."""
        try:
            had, tag = self._part.stat().st_size, self._tag.read_text()
        except OSError:
            return {}
        return {"Range": f"bytes={had}-", "If-Range": tag} if had and tag else {}

    def take(self, answer: Answer, max_bytes: int, on_bytes: OnBytes) -> Taken:
        """Write the answer's body behind what is there, or in its place. Raises FetchTooLarge."""
        start = self._start(answer)
        if not start:
            self.drop()  # first: the new tag must not stand beside old bytes
            tag = answer.headers.get("etag", "")
            # a weak tag does not promise the same bytes
            self._tag.write_text(tag if tag.startswith('"') else "")
        total = None if answer.content_length is None else start + answer.content_length
        digest, done = hashlib.sha256(), start
        with self._part.open("r+b" if start else "wb") as out:
            while chunk := out.read(_CHUNK_BYTES) if start else b"":
                digest.update(chunk)
            for chunk in limited(answer, max_bytes, start):
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                on_bytes(done, total)
            out.flush()
            os.fsync(out.fileno())
        return Taken(done, digest.hexdigest(), start)

    def complete(self) -> None:
        """It is whole: give it its name."""
        self._part.replace(self._path)
        self._tag.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget what is there."""
        self._part.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def _start(self, answer: Answer) -> int:
        """Where the answer's body belongs: behind what is there, or at the beginning."""
        if answer.status != 206:
            return 0
        had = self._part.stat().st_size if self._part.exists() else 0
        found = re.match(r"bytes (\d{1,18})-", answer.headers.get("content-range", ""))
        if found is None or int(found[1]) != had:
            raise FetchFailed(f"{shown(answer.url)} answered another part than was asked for.")
        return had
