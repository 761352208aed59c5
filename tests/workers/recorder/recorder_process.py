"""The recorder as a process of its own, and encoders that push to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from aethex.library import ChannelInput, Library, channels, inputs
from aethex.media.ffmpeg import find_ffmpeg
from aethex.settings import PROJECT_DIR, Settings
from tests.service_process import environment


@dataclass
class RecorderProcess:
    """A running recorder; `start` after `kill` brings it back on the same port."""

    settings: Settings
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.settings.rtmp_port

    def start(self) -> None:
        """Start it, and return when it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aethex", "recorder"],
                cwd=PROJECT_DIR,
                env={**os.environ, **environment(self.settings)},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)  # nothing announces the moment it listens
        raise AssertionError("the recorder does not listen")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As supervisor stops it."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None


def add_rtmp_input(library: Library, key: str, channel: str = "gdq") -> ChannelInput:
    """An input of that channel to which encoders push with this stream key."""
    with library.session() as s:
        return inputs.add_input(s, channels.ensure_channel(s, channel).id, "rtmp", key=key)


def push(flv: Path, port: int, key: str, *, loop: bool = False) -> subprocess.Popen[bytes]:
    """An encoder that pushes this file in real time, once or until it is stopped."""
    repeat = ["-stream_loop", "-1"] if loop else []
    return subprocess.Popen(
        [
            *(str(find_ffmpeg()), "-v", "error", "-nostdin", "-re", *repeat, "-i", str(flv)),
            *("-c", "copy", "-f", "flv", f"rtmp://127.0.0.1:{port}/live/{key}"),
        ],
        stderr=subprocess.DEVNULL,
    )
