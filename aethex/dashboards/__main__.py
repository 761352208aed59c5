"""Starts the dashboards' server: `python -m aethex.dashboards`.

The process becomes Streamlit itself (exec), so a supervisor's signals reach it. Address and port
are `AETHEX_HOST` and `AETHEX_DASHBOARDS_PORT`; further arguments go to `streamlit run` as they are.
The theme and everything fixed is in `.streamlit/config.toml` beside the script, where Streamlit
finds it from any working directory. It answers `GET /_stcore/health` with `ok` when it is up.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aethex.settings import PROJECT_DIR, Settings, get_settings

APP_PATH = Path(__file__).with_name("app.py")


def command(settings: Settings, *extra: str) -> list[str]:
    """The whole command line of the server."""
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(APP_PATH),
        f"--server.address={settings.host}",
        f"--server.port={settings.dashboards_port}",
        *extra,
    ]


def environment() -> dict[str, str]:
    """The server's environment: the project is importable also where it is not installed."""
    paths = [str(PROJECT_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def main() -> None:
    """Replace this process by the server."""
    arguments = command(get_settings(), *sys.argv[1:])
    os.execve(arguments[0], arguments, environment())


if __name__ == "__main__":
    main()
