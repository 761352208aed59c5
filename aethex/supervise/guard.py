"""supervisord as a child that never outlives the `aethex up` that started it, however that one
ended.

What belongs here: that bond. What does not: which programs run (supervisord.conf).

The parent holds the write end of a pipe and nobody else does; when it is gone, even by kill -9, the
read end reports end of file, and supervisord stops its programs in order. Each program asks the
kernel for a signal when supervisord itself is killed (`die_with_parent`, Linux).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process get SIGTERM when its parent dies. Elsewhere than on Linux it does nothing.

    It holds over exec, but for programs that change their user.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGTERM)


def _stop_when_alone(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """`python -m aethex.supervise.guard PIPE CONFIG`: supervisord in the foreground."""
    from supervisor.supervisord import main as supervisord

    pipe, config = int(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_stop_when_alone, args=(pipe,), daemon=True).start()
    supervisord(["--nodaemon", "--configuration", config])


if __name__ == "__main__":
    main()
