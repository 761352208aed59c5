"""An encoder as broadcasters have it: it pushes in real time, and reconnects when it is cut off."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.workers.recorder.recorder_process import push


class Encoder:
    """ffmpeg pushing a file round and round, started again a moment after it ends, until `stop`."""

    def __init__(self, flv: Path, port: int, key: str) -> None:
        self._arguments = (flv, port, key)
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run)
        self.starts = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def lose_network(self) -> None:
        """kill -9: the connection breaks without a word."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End the broadcast as a person does."""
        self._over.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self.starts += 1
            self._process = push(*self._arguments, loop=True)
            self._process.wait()
            self._over.wait(1.5)
