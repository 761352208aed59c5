"""The sandbox, tried by programs that try to get out."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aethex.media import errors
from aethex.media.sandbox import Ended, Limits, confined_with_network, ending_error, run_program
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
    with pytest.raises(errors.MediaLimitExceeded, match="too long"):
        run("while True: pass", tmp_path, limits)
    # as threads use it up, faster than the clock
    code = """
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
        assert soft < hard, 'at the hard limit it would be killed without a word'
        resource.setrlimit(resource.RLIMIT_CPU, (1, hard))
        while True: pass
    """
    ended, _ = run(code, tmp_path)
    error = ending_error(ended, "it", LIMITS)
    assert isinstance(error, errors.MediaLimitExceeded)
    assert "CPU time" in str(error)


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
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"""
            import socket
            try:
                socket.create_connection({server.getsockname()!r}, 2)
            except OSError as error:
                print('refused')
            else:
                print('connected')
        """
        _, said = run(code, tmp_path)
    if not (_may_leave_network() or _has_seccomp()):
        pytest.skip("this machine has neither network namespaces nor seccomp")
    assert said.split() == ["refused"]


@pytest.mark.parametrize("has_network", [False, True])
def test_a_socket_in_the_file_system_is_out_of_reach(tmp_path: Path, has_network: bool) -> None:
    """Such as the database's, which takes whoever runs as its user for its user."""
    if not _has_seccomp():
        pytest.skip("this machine has no seccomp")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/s")
        server.listen()
        code = f"""
            import socket
            for family, address in ((socket.AF_UNIX, {folder + "/s"!r}), (socket.AF_INET, None)):
                try:
                    made = socket.socket(family)
                    address and made.connect(address)
                    print('made')
                except PermissionError:
                    print('refused')
        """
        if has_network:
            program = [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)]
            command = confined_with_network(program, readable=(), limits=LIMITS)
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        else:
            said = run(code, tmp_path)[1]
    assert said.split() == ["refused", "made" if has_network else "refused"]


def test_what_a_child_leaves_leads_nowhere_else(tmp_path: Path) -> None:
    """Its parent opens, uploads and renames what it finds in the scratch folder."""
    if not _has_landlock():
        pytest.skip("this kernel has no Landlock")
    code = """
        import os, socket
        os.mkdir('folder')
        for make in (
            lambda: os.symlink('/etc/passwd', 'poster.jpg'),
            lambda: os.link('/usr/bin/env', 'folder/init.mp4'),
            lambda: os.mkfifo('.stderr-2'),
        ):
            try:
                make()
            except OSError:
                print('refused')
    """
    _, said = run(code, tmp_path)
    assert said.split() == ["refused"] * 3


def test_a_child_cannot_end_others(tmp_path: Path) -> None:
    if ctypes.CDLL(None).syscall(444, None, 0, 1) < 6:
        pytest.skip("this kernel's Landlock knows no signals")
    code = """
        import os
        try:
            os.kill(os.getppid(), 0)
        except PermissionError:
            print('refused')
    """
    assert run(code, tmp_path)[1].split() == ["refused"]


def test_a_child_that_somebody_killed_says_nothing_of_its_file(tmp_path: Path) -> None:
    """The kernel does that when the machine runs out of memory: there may be some later."""
    ended, _ = run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    assert isinstance(ending_error(ended, "it", LIMITS), errors.MediaLimitExceeded)


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


def _has_seccomp() -> bool:
    return (
        os.uname().machine in ("x86_64", "aarch64")
        and "Seccomp:" in Path("/proc/self/status").read_text()
    )


def _has_landlock() -> bool:
    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1
