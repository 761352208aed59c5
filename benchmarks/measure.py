"""Measuring one step of a benchmark: in a fresh process, with its CPU time and peak memory.

What belongs here: the process and the readings. What does not: what is measured.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """Seconds and peak memory of one step in a process of its own, and what it answered."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    answer: Any


def in_a_child(step: Callable[..., Any], *args: Any) -> Measured:
    """Run a step in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_report_to, args=(theirs, step, args))
    child.start()
    theirs.close()
    measured = ours.recv()
    child.join()
    return measured


def _report_to(pipe: Any, step: Callable[..., Any], args: tuple[Any, ...]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    cpu_before = before.ru_utime + before.ru_stime
    started = time.perf_counter()
    answer = step(*args)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = used.ru_utime + used.ru_stime - cpu_before
    pipe.send(Measured(seconds, cpu_seconds, used.ru_maxrss / 1024, answer))
