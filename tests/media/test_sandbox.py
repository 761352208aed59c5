"""The sandbox, tried by programs that try to get out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aethex.media import errors
from aethex.media.sandbox import Ended, Limits, ending_error, run_program
from aethex.settings import PROJECT_DIR
from tests.media.footage import Recipe

LIMITS = Limits(memory_bytes=2**30, file_bytes=1_000_000, wall_seconds=30)


def run(
    code: str, scratch: Path, limits: Limits = LIMITS, readable: tuple[Path, ...] = ()
) -> tuple[Ended, str]:
    """How Python code ends in the sandbox, and what it printed."""
    lines: list[bytes] = []
    program = [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)]
    ended = run_program(
        program,
        subject="it",
        scratch=scratch,
        readable=readable,
        limits=limits,
        on_line=lines.append,
    )
    return ended, b"\n".join(lines).decode()


def test_a_child_sees_none_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AETHEX_STORE_SECRET_ACCESS_KEY", "secret")
    _, said = run("import os; print(sorted(os.environ))", tmp_path)
    assert "SECRET" not in said
    assert "HOME" in said


def test_memory_is_limited(tmp_path: Path) -> None:
    ended, _ = run("b = bytearray(2**31)", tmp_path)
    assert isinstance(ending_error(ended, "it", LIMITS), errors.MediaLimitExceeded)


def test_files_cannot_outgrow_the_limit(tmp_path: Path) -> None:
    ended, _ = run("open('big', 'wb').write(bytes(2_000_000))", tmp_path)
    assert isinstance(ending_error(ended, "it", LIMITS), errors.MediaDiskFull)
    assert (tmp_path / "big").stat().st_size <= LIMITS.file_bytes


def test_cpu_time_is_limited(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=2**30, file_bytes=1000, wall_seconds=0.4)
    with pytest.raises(errors.MediaLimitExceeded):
        run("while True: pass", tmp_path, limits)
    assert isinstance(
        ending_error(Ended(-signal.SIGXCPU, ""), "it", limits), errors.MediaLimitExceeded
    )


def test_no_process_is_left_when_time_is_over_or_the_caller_fails(tmp_path: Path) -> None:
    """Also not one that the child started itself."""
    code = """
        import os, sys, time
        child = os.fork()
        if child:
            print(os.getpid(), child, flush=True)
        time.sleep(60)
    """
    limits = Limits(memory_bytes=2**30, file_bytes=1000, wall_seconds=1.5)
    pids: list[int] = []

    def note(line: bytes) -> None:
        pids.extend(int(word) for word in line.split())

    program = [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)]
    with pytest.raises(errors.MediaLimitExceeded):
        run_program(
            program, subject="it", scratch=tmp_path, readable=(), limits=limits, on_line=note
        )
    assert len(pids) == 2
    _wait_until(lambda: not any(map(is_running, pids)))

    def fail(line: bytes) -> None:
        note(line)
        raise KeyboardInterrupt

    pids.clear()
    with pytest.raises(KeyboardInterrupt):
        run_program(
            program, subject="it", scratch=tmp_path, readable=(), limits=LIMITS, on_line=fail
        )
    assert len(pids) == 2
    _wait_until(lambda: not any(map(is_running, pids)))


def test_children_die_with_a_parent_that_is_killed(
    tmp_path: Path, footage: Callable[[str, Recipe], Path]
) -> None:
    """kill -9 of a process in the middle of encoding."""
    source = footage("ten-bit.mp4", Recipe(seconds=3, pixel_format="yuv420p10le"))
    code = f"""
        import sys
        from pathlib import Path
        from aethex.media import transcode
        from aethex.media.hls import package
        from tests.media.conftest import media_settings
        # An encoder that would take minutes.
        original = transcode.video_arguments
        slow = ["-preset", "placebo", "-vf", "loop=-1:200,format=yuv420p"]
        transcode.video_arguments = lambda *given, **more: [*original(*given, **more), *slow]
        def tell(fraction, stage):
            print(stage, flush=True)
        folder = Path({str(tmp_path)!r})
        settings = media_settings(folder)
        package(Path({str(source)!r}), folder / "out", settings=settings, on_progress=tell)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        assert any(line == "encoding\n" for line in parent.stdout)
        children = _children(parent.pid)
        assert children
    finally:
        parent.kill()
        parent.wait()
    _wait_until(lambda: not any(map(is_running, children)))
    assert not (tmp_path / "out").exists()


def test_there_is_no_network(tmp_path: Path) -> None:
    code = """
        import socket
        try:
            print(len(socket.if_nameindex()), open('/proc/net/route').read().count('\\n') if 0 else
            '') s = socket.socket(); s.settimeout(2); s.connect(('127.0.0.1', PORT))
        except OSError as error:
            print('refused', type(error).__name__)
        else:
            print('connected')
    """
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        _, said = run(code.replace("PORT", str(server.getsockname()[1])), tmp_path)
    if _may_leave_network():
        assert "connected" not in said
    else:
        pytest.skip("this machine allows no network namespaces")


def test_other_files_cannot_be_opened(tmp_path: Path) -> None:
    if not _has_landlock():
        pytest.skip("this kernel has no Landlock")
    scratch, other = tmp_path / "scratch", tmp_path / "other.txt"
    scratch.mkdir()
    other.write_text("secret")
    code = f"""
        import os
        open('mine', 'w').write('x')
        mine = {str(PROJECT_DIR / "README.md")!r}
        for name in ({str(other)!r}, '/etc/passwd', '/proc/self/environ', mine):
            try:
                print(open(name).read())
            except OSError as error:
                print(type(error).__name__)
        try:
            open({str(tmp_path / "made")!r}, 'w')
        except OSError as error:
            print(type(error).__name__)
    """
    _, said = run(code, scratch)
    assert said.split() == ["PermissionError"] * 5
    _, said = run(code, scratch, readable=(other,))
    assert said.split() == ["secret", *["PermissionError"] * 4]
    assert {path.name for path in tmp_path.iterdir()} == {"scratch", "other.txt"}


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def _may_leave_network() -> bool:
    return any(
        subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode
        == 0
        for flags in (["-n"], ["-rn"])
    )


def _has_landlock() -> bool:
    import ctypes

    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1
