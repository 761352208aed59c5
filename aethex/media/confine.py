"""Locks the current process in, then becomes the program to run: `confine.py LIMITS -- PROGRAM …`.

What belongs here: what a child does to itself before it opens outside media. What does not:
starting and watching it (`sandbox.py`). Standard library only, and no import of the package: it
starts in every child.

LIMITS is JSON: `parent` (process id), `memory_bytes`, `cpu_seconds`, `file_bytes`, `list` (folders
whose names it may see), `read` (files and folders it may read), `write` (folders it may write),
`network` (whether it keeps the network: only what takes a stream in does), `ports` (of that, the
only TCP ports that it may connect to; null: all). The kernel's means are used where it has them;
the limits that every Linux has are not optional.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
from typing import cast

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION_FLAG = 1
_LANDLOCK_PATH_BENEATH, _LANDLOCK_NET_PORT = 1, 2
_LANDLOCK_PORTS_SINCE = 4  # Linux 6.7
_CONNECT_TCP = 1 << 1
# Landlock's file system rights: execute 1, write 2, read 4, list 8, then making, removing,
# truncating.
_LIST_FOLDER = 8
_READ_FOLDER = 1 | 4 | 8
_READ_FILE = 1 | 4
_WRITE_FILE = 2 | 4 | 1 << 14
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1}
_ALL_RIGHTS = (1 << 15) - 1
# Devices, sockets, pipes, links: the parent opens what the child made, and must not be led away.
_MAKE_SPECIAL = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
_LANDLOCK_SCOPES_SINCE = 6  # Linux 6.12
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
_AF_UNIX = 1
_PR_SET_SECCOMP, _SECCOMP_FILTER = 22, 2
# By machine: seccomp's name of it, and the number of the system call `socket`.
_SOCKET_CALL = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_OTHER_ABI = 0x40000000  # system calls from here on are x86-64's second set
_IO_URING_SETUP = 425  # can make sockets as well
_CPU_GRACE_SECONDS = 5


def main(arguments: list[str]) -> None:
    limits: dict[str, object] = json.loads(arguments[0])
    libc = ctypes.CDLL(None, use_errno=True)
    _die_with(libc, int(str(limits["parent"])))
    if not limits["network"]:
        _leave_network(libc)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _restrict_files(libc, _paths(limits["list"]), _paths(limits["read"]), _paths(limits["write"]))
    if limits["ports"] is not None:
        _restrict_ports(libc, cast("list[int]", limits["ports"]))
    _restrict_sockets(libc, has_network=bool(limits["network"]))
    cpu_seconds = int(str(limits["cpu_seconds"]))
    for kind, value, most in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 256, 256),
        (resource.RLIMIT_FSIZE, *(int(str(limits["file_bytes"])),) * 2),
        # at the hard limit the kernel kills without a word; at the soft one it says why
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + _CPU_GRACE_SECONDS),
        (resource.RLIMIT_AS, *(int(str(limits["memory_bytes"])),) * 2),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (min(value, most), most))
    # A write beyond the size limit should fail with a reason rather than kill.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    program = arguments[2:]
    os.execv(program[0], program)


def _paths(value: object) -> list[str]:
    return [str(item) for item in cast("list[object]", value)]


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _leave_network(libc: ctypes.CDLL) -> None:
    """An empty network namespace; where the machine allows none, the whitelists have to do."""
    if libc.unshare(_CLONE_NEWNET) == 0:
        return
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return
    with contextlib.suppress(OSError):
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def _restrict_files(
    libc: ctypes.CDLL, listable: list[str], readable: list[str], writable: list[str]
) -> None:
    """Landlock: only the named files and folders can be opened at all."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return
    handled = _RIGHTS_BY_VERSION.get(version, _ALL_RIGHTS)
    attributes = struct.pack("Q", handled)
    if version >= _LANDLOCK_SCOPES_SINCE:  # it may not end who started it either
        scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS
        attributes = struct.pack("QQQ", handled, 0, scopes)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return
    for path in listable:
        _allow(libc, ruleset, path, _LIST_FOLDER)
    for path in readable:
        _allow(libc, ruleset, path, (_READ_FOLDER if os.path.isdir(path) else _READ_FILE) & handled)  # noqa: PTH112
    for path in writable:
        of_folder = handled & ~_MAKE_SPECIAL
        _allow(libc, ruleset, path, of_folder if os.path.isdir(path) else _WRITE_FILE & handled)  # noqa: PTH112
    libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _restrict_ports(libc: ctypes.CDLL, ports: list[int]) -> None:
    """Landlock: only to these ports can be connected at all."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG)
    if version < _LANDLOCK_PORTS_SINCE:
        return
    attributes = struct.pack("QQ", 0, _CONNECT_TCP)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return
    for port in ports:
        rule = struct.pack("QQ", _CONNECT_TCP, port)
        libc.syscall(_LANDLOCK_ADD, ruleset, _LANDLOCK_NET_PORT, rule, 0)
    libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _restrict_sockets(libc: ctypes.CDLL, *, has_network: bool) -> None:
    """Seccomp: no sockets, or, with the network, none of this machine's own: neither a network
    namespace nor Landlock keeps a process from connecting to a database's socket in the file
    system, which may take it for its user's word.
    """
    machine = os.uname().machine
    if machine not in _SOCKET_CALL or sys.byteorder != "little":
        return
    architecture, socket_call = _SOCKET_CALL[machine]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    number_at, architecture_at, family_at = 0, 4, 16
    refuse, allow = 0x00050000 | errno.EACCES, 0x7FFF0000
    steps = (  # what, steps to pass over if so and if not, operand
        (load, 0, 0, architecture_at),
        (equal, 0, 7, architecture),
        (load, 0, 0, number_at),
        (at_least, 5, 0, _OTHER_ABI),
        (equal, 4, 0, _IO_URING_SETUP),
        (equal, 0, 2, socket_call),
        (load, 0, 0, family_at),
        (equal, 1, 0 if has_network else 1, _AF_UNIX),
        (answer, 0, 0, allow),
        (answer, 0, 0, refuse),
    )
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("H6xP", len(steps), ctypes.addressof(held))
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, program, 0, 0)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = struct.pack("=Qi", rights, descriptor)
    libc.syscall(_LANDLOCK_ADD, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0)
    os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
