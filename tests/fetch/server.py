"""A server on loopback whose every answer is written by the test, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Send = Callable[[bytes], None]
Say = Callable[["Asked", Send], None]


@dataclass(frozen=True)
class Asked:
    """A request: its target, and its headers by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class Server:
    """Who answers what. One answer a connection."""

    port: int
    answers: dict[str, Say] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def url(self, target: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{target}"


def plain(body: bytes, status: str = "200 OK", **headers: str) -> Say:
    """An answer of known length."""
    named = {"Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return lambda _asked, send: send(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def redirect(location: str, status: str = "302 Found") -> Say:
    return plain(b"", status, Location=location)


def file(body: bytes, tag: str = '"v1"', breaks_after: int | None = None) -> Say:
    """A file that is sent in ranges as well; it may break off after so many bytes."""

    def say(asked: Asked, send: Send) -> None:
        start, status, more = 0, "200 OK", ""
        wanted = asked.headers.get("range", "")
        if wanted and asked.headers.get("if-range") == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = "206 Partial Content"
            more = f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}\r\n"
        if start > len(body):
            status, more = "416 Range Not Satisfiable", ""
        rest = body[start:]
        head = f"HTTP/1.1 {status}\r\nETag: {tag}\r\n{more}Content-Length: {len(rest)}\r\n\r\n"
        send(head.encode() + rest[:breaks_after])

    return say


@contextmanager
def serving() -> Generator[Server]:
    """The running server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(listening.getsockname()[1])
        threading.Thread(target=_serve, args=(listening, server), daemon=True).start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, server: Server) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection, server), daemon=True).start()


def _answer(connection: socket.socket, server: Server) -> None:
    with connection, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        first, *lines = head.decode().split("\r\n\r\n")[0].split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        asked = Asked(method, target, headers)
        server.asked.append(asked)
        say = server.answers.get(target, plain(b"", "404 Not Found"))
        say(asked, connection.sendall)
        connection.shutdown(socket.SHUT_WR)
