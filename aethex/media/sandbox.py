"""Runs what opens outside media: a child process with limits, watched until it ends.

What belongs here: starting, limiting, watching and killing children, and turning how they ended
into an error. What does not: what a child does to itself (`confine.py`), what it computes
(`tasks.py`).

A child has a memory, CPU, file size and wall time limit, an empty environment, a session of its own
so that all of it can be killed, no network and no files but the named ones where the kernel offers
that. It dies with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aethex.media import errors

if TYPE_CHECKING:
    from aethex.settings import Settings

_CONFINE = Path(__file__).with_name("confine.py")
_TASKS = Path(__file__).with_name("tasks.py")
_PROJECT_DIR = Path(__file__).resolve().parents[2]
_SYSTEM_READABLE = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom")
_OUT_OF_MEMORY = (
    *("cannot allocate memory", "memoryerror", "failed to map segment", "bad_alloc"),
    *("can't start new thread", "out of memory"),
)
_STDERR_TAIL_BYTES = 4000
_LINE_LIMIT_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use."""

    memory_bytes: int
    file_bytes: int
    wall_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        # A package holds each packet once per file, so no file outgrows the largest input by much.
        file_bytes = settings.media_max_bytes + settings.media_max_bytes // 8 + 1024**2
        return cls(settings.media_memory_bytes, file_bytes, settings.media_timeout_seconds)

    @property
    def cpu_seconds(self) -> int:
        return int(self.wall_seconds * (os.cpu_count() or 1)) + 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: return code (negative: signal) and the end of what it wrote to stderr."""

    returncode: int
    stderr: str


def run_program(
    program: Sequence[str],
    *,
    subject: str,
    scratch: Path,
    readable: Sequence[Path],
    limits: Limits,
    on_line: Callable[[bytes], None],
    request: bytes = b"",
) -> Ended:
    """Run a program in the sandbox until it ends; `on_line` gets each line of its stdout.

    The program works in `scratch`, the only folder it may write. Raises MediaLimitExceeded when the
    wall time is over; whatever `on_line` raises passes through. In every case no process is left.
    """
    request_file = scratch / ".request"
    request_file.write_bytes(request)
    with (scratch / ".stderr").open("w+b") as stderr, request_file.open("rb") as stdin:
        child = subprocess.Popen(
            [*_confined(scratch, readable, limits), *program],
            cwd=scratch,
            env={"PATH": "", "LANG": "C.UTF-8", "HOME": str(scratch), "OPENBLAS_NUM_THREADS": "1"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            _watch(child, subject, time.monotonic() + limits.wall_seconds, on_line)
        finally:
            _kill(child)
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _STDERR_TAIL_BYTES))
        tail = stderr.read().decode(errors="replace")
    return Ended(child.returncode, tail)


def run_task(
    name: str,
    arguments: dict[str, Any],
    *,
    subject: str,
    scratch: Path,
    readable: Sequence[Path],
    limits: Limits,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Run a function of `tasks.py` in the sandbox and return its answer.

    `subject` names the file in error messages. Raises the MediaError that the task raised, or one
    for the way in which the child ended.
    """
    answer: dict[str, Any] = {}

    def receive(line: bytes) -> None:
        message = json.loads(line)
        if "progress" in message:
            if on_progress is not None:
                on_progress(float(message["progress"]))
        else:
            answer.update(message)

    ended = run_program(
        [sys.executable, "-I", str(_TASKS), name],
        subject=subject,
        scratch=scratch,
        readable=readable,
        limits=limits,
        on_line=receive,
        request=json.dumps(arguments).encode(),
    )
    if "error" in answer:
        kind = getattr(errors, str(answer["error"]), errors.MediaToolFailed)
        raise kind(f"{subject}: {answer['message']}")
    if ended.returncode != 0 or "result" not in answer:
        raise ending_error(ended, subject, limits)
    return cast("dict[str, Any]", answer["result"])


def ending_error(ended: Ended, subject: str, limits: Limits) -> errors.MediaError:
    """The error for a child that ended without an answer of its own."""
    words = ended.stderr.lower()
    if ended.returncode == -signal.SIGXCPU:
        return errors.MediaLimitExceeded(
            f"{subject}: opening it took more than {limits.cpu_seconds} s of CPU time; "
            "if the file is sound, raise AETHEX_MEDIA_TIMEOUT_SECONDS."
        )
    if ended.returncode == -signal.SIGKILL:  # not by us: that raises before
        return errors.MediaLimitExceeded(
            f"{subject}: the program that reads it was killed; most likely this machine has too "
            "little memory for what runs on it."
        )
    if "no space left" in words or "disk quota" in words or "file too large" in words:
        return errors.MediaDiskFull(f"{subject}: {errors.DISK_FULL}")
    if any(sign in words for sign in _OUT_OF_MEMORY):
        return errors.MediaLimitExceeded(f"{subject}: {errors.OUT_OF_MEMORY}")
    if "traceback (most recent call last)" in words:
        return errors.MediaToolFailed(
            f"{subject}: the program that reads it failed ({_last_line(ended.stderr)}); this is a "
            "fault of the installation or the program, not of the file."
        )
    how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"code {ended.returncode}"
    return errors.UnreadableMedia(
        f"{subject}: the program that reads it gave up ({how}); the file is damaged or not a video."
    )


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1][:300]


def confined_with_network(
    program: Sequence[str],
    *,
    readable: Sequence[Path],
    limits: Limits,
    ports: Sequence[int] | None = None,
) -> list[str]:
    """The command of a program that takes a stream in from the network, in the sandbox.

    `ports`: the only TCP ports that it may connect to, where the kernel offers that; None: all.

    It may write no file at all. Its caller starts it, in a session of its own and with an empty
    environment, watches it and kills it; `limits.wall_seconds` bounds its CPU time only.
    """
    return [*_confined(None, readable, limits, has_network=True, ports=ports), *program]


def _confined(
    scratch: Path | None,
    readable: Sequence[Path],
    limits: Limits,
    *,
    has_network: bool = False,
    ports: Sequence[int] | None = None,
) -> list[str]:
    code = (_PROJECT_DIR / "aethex", sys.prefix, sys.base_prefix, *_SYSTEM_READABLE)
    policy = {
        "parent": os.getpid(),
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "file_bytes": limits.file_bytes,
        "list": [str(_PROJECT_DIR)],
        "read": [str(path) for path in (*code, *readable)],
        "write": [*([] if scratch is None else [str(scratch)]), "/dev/null"],
        "network": has_network,
        "ports": None if ports is None else [*ports],
    }
    return [sys.executable, "-I", "-S", str(_CONFINE), json.dumps(policy), "--"]


def _watch(
    child: subprocess.Popen[bytes], subject: str, deadline: float, on_line: Callable[[bytes], None]
) -> None:
    assert child.stdout is not None
    pending = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not selector.select(remaining):
                raise errors.MediaLimitExceeded(
                    f"{subject}: opening it took too long; if the file is sound, "
                    "raise AETHEX_MEDIA_TIMEOUT_SECONDS."
                )
            chunk = os.read(child.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            pending += chunk
            if b"\n" in chunk:
                *lines, rest = pending.split(b"\n")
                pending = bytearray(rest)
                for line in lines:
                    on_line(bytes(line))
            if len(pending) > _LINE_LIMIT_BYTES:
                raise errors.UnreadableMedia(
                    f"{subject}: the program that reads it answered nonsense."
                )
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(max(0.1, min(10.0, deadline - time.monotonic())))


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill all of the child's session. Its leader is not reaped yet, so the id is still its own."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
