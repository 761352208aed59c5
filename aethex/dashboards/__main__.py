"""Starts the dashboards' server: `python -m aethex.dashboards`.

It runs in this process, so a supervisor's signals reach it. Address and port are `AETHEX_HOST` and
`AETHEX_DASHBOARDS_PORT`; further arguments go to `streamlit run` as they are. The theme and all
that is fixed stands in `.streamlit/config.toml` beside the script, where Streamlit finds it from
any working directory. `GET /_stcore/health` answers `ok` when it is up.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from threading import Thread

from aethex.settings import Settings, get_settings

APP_PATH = Path(__file__).with_name("app.py")

# What the first page needs and takes long to import. Not the pages themselves: they make caches,
# and those want the server to be there.
_HEAVY = ("pandas", "altair", "polars", "aethex.lake.connect", "aethex.lake.analytics")


def arguments(settings: Settings, *extra: str) -> list[str]:
    """Streamlit's arguments: the script, where to listen, then `extra`."""
    return [
        "run",
        str(APP_PATH),
        f"--server.address={settings.host}",
        f"--server.port={settings.dashboards_port}",
        *extra,
    ]


def main() -> None:
    """Serve until a signal ends it."""
    from streamlit.web import cli

    # the server answers at once, and the first visitor does not wait for imports
    Thread(target=_preload, name="preload", daemon=True).start()
    cli.main(arguments(get_settings(), *sys.argv[1:]), prog_name="streamlit")


def _preload() -> None:
    for name in _HEAVY:
        import_module(name)


if __name__ == "__main__":
    main()
