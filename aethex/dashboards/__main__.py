"""Starts the dashboards' server: `python -m aethex.dashboards`.

It runs in this process, so a supervisor's signals reach it. Address and port are `AETHEX_HOST` and
`AETHEX_DASHBOARDS_PORT`; further arguments go to `streamlit run` as they are. The theme and all
that is fixed stands in `.streamlit/config.toml` beside the script, where Streamlit finds it from
any working directory. `GET /_stcore/health` answers `ok` when it is up.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from aethex.settings import PROJECT_DIR, Settings, get_settings

APP_PATH = Path(__file__).with_name("app.py")

# Imported before anybody is served: each visitor is a thread, and pyiceberg, whose modules import
# each other, cannot be imported by two threads at once. Not the pages themselves: they make caches,
# and those want the server to be there.
_IMPORTED_FIRST = ("pandas", "altair", "polars", "aethex.lake.connections", "aethex.lake.analytics")


def command(settings: Settings, *extra: str) -> list[str]:
    """The whole command line of the server, for who starts it as a program of its own."""
    return [
        sys.executable,
        "-m",
        "aethex.dashboards",
        f"--server.address={settings.host}",
        f"--server.port={settings.dashboards_port}",
        *extra,
    ]


def environment() -> dict[str, str]:
    """Its environment: the project is importable also where it is not installed."""
    paths = [str(PROJECT_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def main() -> None:
    """Serve until a signal ends it. Arguments given by hand win over the settings."""
    from streamlit.web import cli

    for name in _IMPORTED_FIRST:
        import_module(name)
    settings = get_settings()
    given = sys.argv[1:]
    known = [f"--server.address={settings.host}", f"--server.port={settings.dashboards_port}"]
    missing = [flag for flag in known if not any(g.startswith(flag.split("=")[0]) for g in given)]
    cli.main(["run", str(APP_PATH), *missing, *given], prog_name="streamlit")


if __name__ == "__main__":
    main()
