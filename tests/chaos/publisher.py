"""A publisher that never stops (`python -m tests.chaos.publisher`), to be killed and restarted."""

from __future__ import annotations

import contextlib

from aethex.lake import Lake
from aethex.lake.publish import publish
from aethex.settings import get_settings


def main() -> None:
    while True:
        # Postgres and the store are taken away too; then it tries again with a new connection
        with contextlib.suppress(Exception), Lake.open(get_settings()) as lake:
            while True:
                publish(lake)


if __name__ == "__main__":
    main()
