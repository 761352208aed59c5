"""Which ports are free, and who holds a taken one.

What belongs here: asking the system. What does not: what to do about it (`preflight`).
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"


def reason_not_free(host: str, port: int) -> str | None:
    """Why nothing can listen there, as the end of "port 8000 …"; None: it is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except socket.gaierror:
            return f"cannot be opened: {host} is no address of this machine (AETHEX_HOST)"
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is taken{_by_whom(port)}"
            if error.errno == errno.EADDRNOTAVAIL:
                return f"cannot be opened: {host} is no address of this machine (AETHEX_HOST)"
            if error.errno in (errno.EACCES, errno.EPERM):
                return "may not be opened by this user"
            return f"cannot be opened ({error.strerror})"
    return None


def _by_whom(port: int) -> str:
    """` by NAME (pid N)` where the system tells (Linux, own processes), else nothing."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f" by {(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    """`socket:[inode]` of everything that listens on the port."""
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
