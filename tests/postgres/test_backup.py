"""What docs/operations.md says about backups."""

from __future__ import annotations

import subprocess
from pathlib import Path

from aethex.library import Library, upgrade
from aethex.library.channels import by_username, ensure_channel
from aethex.postgres import database_url, embedded_location, start_embedded
from aethex.settings import Settings
from tests.postgres.conftest import settings_in


def test_a_dump_is_restored_into_an_empty_database(prepared: Settings, open_folder: Path):
    programs = embedded_location(prepared).bin_dir
    dump = open_folder / "aethex.dump"
    with start_embedded(prepared):
        upgrade(prepared)
        with Library.open(prepared) as library, library.session() as s:
            made = ensure_channel(s, "gdq")
        run(programs / "pg_dump", "--format=custom", f"--file={dump}", database_url(prepared, ""))

    empty = settings_in(open_folder / "empty")
    with start_embedded(empty):
        target = f"--dbname={database_url(empty, '')}"
        run(programs / "pg_restore", "--clean", "--if-exists", "--no-owner", target, str(dump))
        upgrade(empty)
        with Library.open(empty) as library, library.session() as s:
            restored = by_username(s, "gdq")
    assert restored is not None
    assert restored.id == made.id


def run(program: Path, *arguments: str) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
