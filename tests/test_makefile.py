"""The Makefile explains itself, and continuous integration runs what people run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from aethex.settings import PROJECT_DIR

MAKEFILE = PROJECT_DIR / "Makefile"
INTERNAL = {"install-dev", "browser"}


def make(*arguments: str, cwd: Path = PROJECT_DIR) -> subprocess.CompletedProcess[str]:
    # Inside `make test` these would make a new make take part in the outer one's job server.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )


def test_make_alone_explains_every_target() -> None:
    targets = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE.read_text(), re.MULTILINE)) - INTERNAL
    explained = dict(re.findall(r"^  make (\S+)\s+(\S.*)$", make().stdout, re.MULTILINE))
    assert set(explained) == targets
    assert {"up", "test", "check", "help", "install"} <= targets


def test_make_works_from_any_folder(tmp_path: Path) -> None:
    assert (
        make("--no-print-directory", "-C", str(PROJECT_DIR), cwd=tmp_path).stdout
        == make("help").stdout
    )


def test_lock_files_name_no_registry() -> None:
    locks = [*PROJECT_DIR.glob("requirements*.lock"), PROJECT_DIR / "package-lock.json"]
    assert len(locks) == 4
    for lock in locks:
        text = lock.read_text()
        assert "--index-url" not in text
        assert "--find-links" not in text
        assert '"resolved"' not in text


def test_continuous_integration_runs_the_checks_and_all_tests() -> None:
    script = (PROJECT_DIR / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert [line.split()[1] for line in script.splitlines() if line.startswith("make ")] == [
        "check",
        "test",
    ]
    assert os.access(PROJECT_DIR / ".ci" / "run", os.X_OK)
