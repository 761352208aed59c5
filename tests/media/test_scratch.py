"""Scratch folders go, whoever was killed, and never while somebody works in them."""

from __future__ import annotations

import os
from pathlib import Path

from aethex.media.scratch import scratch_folder
from aethex.settings import Settings


def test_what_a_killed_process_of_the_same_id_left_is_removed(settings: Settings) -> None:
    """In a container the worker has the same process id after each start."""
    left = settings.data_dir / "tmp" / f"derive-{os.getpid()}-left"
    left.mkdir(parents=True)
    (left / "segment.m4s").write_bytes(b"large")
    with scratch_folder(settings, "derive") as folder:
        assert list(folder.parent.iterdir()) == [folder]


def test_what_is_being_used_stays_whatever_its_processs_id(settings: Settings) -> None:
    """Of another container on the same disk nobody knows the process."""
    with scratch_folder(settings, "derive") as first:
        elsewhere = Path(first.parent / "derive-999999999-there")
        first.rename(elsewhere)  # flock stays with the folder
        with scratch_folder(settings, "derive"):
            assert elsewhere.is_dir()
        elsewhere.rename(first)
    assert list((settings.data_dir / "tmp").iterdir()) == []
