"""The child's side of `sandbox.run_task`: `tasks.py NAME`, a JSON request on stdin, JSON lines on
stdout.

What belongs here: the protocol and the table of tasks. What does not: what a task does (`scan.py`,
`pack.py`). Runs inside the sandbox only; imports PyAV only there.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from aethex.media import errors

_REPORT_EVERY_SECONDS = 0.2


class Progress:
    """Tells the parent how far the task is, at most five times a second."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def __call__(self, fraction: float) -> None:
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + _REPORT_EVERY_SECONDS
            answer({"progress": round(fraction, 4)})


def answer(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(name: str) -> int:
    request = json.load(sys.stdin)
    try:
        if name == "scan":
            from aethex.media.scan import scan_task

            result = scan_task(request, Progress())
        else:
            from aethex.media.pack import pack_task

            result = pack_task(request, Progress())
    except errors.MediaError as error:
        answer({"error": type(error).__name__, "message": str(error)})
    except MemoryError:
        answer({"error": "MediaLimitExceeded", "message": _memory_words()})
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            answer({"error": "MediaDiskFull", "message": _disk_words()})
        elif error.errno == errno.ENOMEM:
            answer({"error": "MediaLimitExceeded", "message": _memory_words()})
        else:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            answer(
                {"error": "UnreadableMedia", "message": f"it cannot be read ({_reason(error)})."}
            )
    else:
        answer({"result": result})
    return 0


def _reason(error: OSError) -> str:
    """Why, in the system's words: libav's own texts may quote what stands in a hostile file."""
    try:
        return os.strerror(error.errno) if error.errno and 0 < error.errno < 200 else "damaged data"
    except (OverflowError, ValueError):
        return "damaged data"


def _memory_words() -> str:
    return (
        "opening it needs more memory than a child process is given; if the file is sound, "
        "raise AETHEX_MEDIA_MEMORY_BYTES."
    )


def _disk_words() -> str:
    return (
        "no room on the disk for the package; free some space (about three times the file's size while it "
        "is packaged) and import it again."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
