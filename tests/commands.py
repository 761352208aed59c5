"""The command `aethex` for tests: run in process, on settings of the test's own."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from aethex.cli import run
from aethex.commands import terminal
from aethex.settings import Settings, get_settings


@dataclass(frozen=True)
class Outcome:
    """What a command printed and returned."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The last line of stdout, as `--json` promises it."""
        return json.loads(self.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Commands:
    """The command, run with settings of its own: by the environment, as people give them."""

    data_dir: Path
    database_url: str | None
    """None: the embedded server of the data folder."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Other settings by their names without the prefix, such as `service_port`."""

    def __call__(self, *arguments: object) -> Outcome:
        """Run a command in this process."""
        out, err = StringIO(), StringIO()
        consoles = [(terminal.output, out), (terminal.errors, err)]
        with self.environment(), redirect_stdout(out), redirect_stderr(err):
            for console, stream in consoles:
                console.file = stream
            try:
                code = run([str(argument) for argument in arguments])
            finally:
                for console, _ in consoles:
                    console._file = None
        return Outcome(code, out.getvalue(), err.getvalue())

    def variables(self) -> dict[str, str]:
        """The settings as environment variables."""
        values = {"data_dir": str(self.data_dir), **self.more}
        if self.database_url is not None:
            values["database_url"] = self.database_url
        return {f"AETHEX_{name.upper()}": value for name, value in values.items()}

    @contextmanager
    def environment(self) -> Generator[None]:
        """Have `get_settings()` read these settings, and nothing of the machine's `.env`."""
        without_file = mock.patch.dict(Settings.model_config, {"env_file": None})
        with mock.patch.dict(os.environ, self.variables()), without_file:
            get_settings.cache_clear()
            try:
                yield
            finally:
                get_settings.cache_clear()
