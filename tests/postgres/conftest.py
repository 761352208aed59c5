"""Folders and users that the embedded server's tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aethex.postgres import location as location_module
from aethex.postgres import prepare_embedded
from aethex.settings import PROJECT_DIR, Settings
from tests.postgres_server import fast_base

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as several users")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder with a short path that every user may enter (pytest's own are closed)."""
    folder = _short_open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def embedded(open_folder: Path) -> Settings:
    """Settings of an embedded server of the test's own, not made yet."""
    return settings_in(open_folder / "data")


@pytest.fixture(scope="session")
def made_database() -> Iterator[Path]:
    """A database that was made once, to copy."""
    folder = _short_open_folder()
    yield prepare_embedded(settings_in(folder)).data_dir
    shutil.rmtree(folder)


@pytest.fixture
def prepared(embedded: Settings, made_database: Path) -> Settings:
    """Settings of an embedded server that is ready to start; `initdb` takes most of a start."""
    root = embedded.postgres_dir
    root.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(made_database), str(root / "cluster")], check=True)
    return embedded


@pytest.fixture
def moved_base(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where databases go that must move, instead of the machine's /var/lib."""
    base = open_folder / "var-lib"
    base.mkdir()
    monkeypatch.setattr(location_module, "SHARED_BASES", (base,))
    return base


@pytest.fixture
def python_as() -> Callable[..., subprocess.Popen[str]]:
    """Starts Python code in a process of its own, as ourselves or as another user."""

    def start(code: str, *arguments: object, uid: int | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [_python_for(uid), "-c", PRELUDE + code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={
                "PATH": os.defpath,
                "PYTHONPATH": f"{PROJECT_DIR}{os.pathsep}{sysconfig.get_path('purelib')}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )

    return start


def settings_in(data_dir: Path) -> Settings:
    return Settings(_env_file=None, data_dir=data_dir)  # pyright: ignore[reportCallIssue]


# Errors of ours print as their one line, as the command line does.
PRELUDE = """
import sys
from pathlib import Path
import psycopg
from aethex.postgres import *
from aethex.settings import Settings
sys.excepthook = lambda kind, error, trace: print(f"{kind.__name__}: {error}", file=sys.stderr)
settings = Settings(_env_file=None, data_dir=Path(sys.argv[1]))
"""


def _short_open_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="aethex-", dir=fast_base()))
    folder.chmod(0o755)
    return folder


def _python_for(uid: int | None) -> str:
    """A Python of our version that this user may run: ours may lie in a closed home."""
    if uid is None:
        return sys.executable
    identity = location_module.Identity(uid, (uid,))
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (Path(sys.executable), Path("/usr/local/bin") / ours, Path("/usr/bin") / ours):
        if candidate.exists() and identity.may_enter(candidate.resolve().parent):
            return str(candidate)
    pytest.skip(f"user {uid} can run no {ours} of this machine")
