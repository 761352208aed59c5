"""The child's side of `sandbox.run_task`: `tasks.py NAME`, a JSON request on stdin, JSON lines on
stdout.

What belongs here: the protocol and the table of tasks. What does not: what a task does (`scan.py`,
`pack.py`, `survey.py`, `fragments.py`). Runs inside the sandbox only; imports PyAV only there.
"""

from __future__ import annotations

import errno
import json
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
    import av.error

    from aethex.media.derive import poster_task
    from aethex.media.fragments import index_task
    from aethex.media.pack import pack_task
    from aethex.media.scan import scan_task
    from aethex.media.survey import survey_task

    tasks = {
        "scan": scan_task,
        "pack": pack_task,
        "poster": poster_task,
        "survey": survey_task,
        "index": index_task,
    }
    request = json.load(sys.stdin)
    try:
        result = tasks[name](request, Progress())
    except errors.MediaError as error:
        answer({"error": type(error).__name__, "message": str(error)})
    except MemoryError:
        answer({"error": "MediaLimitExceeded", "message": errors.OUT_OF_MEMORY})
    except OSError as error:
        _answer_system_error(error)
    except av.error.FFmpegError as error:
        _answer_unreadable(error)
    else:
        answer({"result": result})
    return 0


def _answer_system_error(error: OSError) -> None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        answer({"error": "MediaDiskFull", "message": errors.DISK_FULL})
    elif error.errno == errno.ENOMEM:
        answer({"error": "MediaLimitExceeded", "message": errors.OUT_OF_MEMORY})
    else:
        _answer_unreadable(error)


def _answer_unreadable(error: Exception) -> None:
    """Without libav's own words: they may quote what stands in a hostile file."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    answer({"error": "UnreadableMedia", "message": "it cannot be read to its end; it is damaged."})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
