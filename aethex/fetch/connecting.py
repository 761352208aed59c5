"""Connections that go to a checked address, and end in time.

What belongs here: the network below the HTTP client. What does not: HTTP (`client`).
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from aethex.fetch.addresses import Policy, Resolve


class Deadline(threading.local):
    """When the request of this thread has to be over, by the monotonic clock."""

    at: float = float("inf")

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        """Seconds that the next step may take. Raises `error` when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise error("the time for the whole answer is over")
        return left if timeout is None else min(timeout, left)


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name, checks all of its addresses, and connects to one of exactly those."""

    def __init__(self, policy: Policy, resolve: Resolve, deadline: Deadline) -> None:
        self._policy = policy
        self._resolve = resolve
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self._policy.resolved(host, self._resolve):
            left = self._deadline.left(timeout, httpcore.ConnectTimeout)
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, left, local_address, socket_options
                )
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None, "a name without an address is refused before"
        raise failure

    def sleep(self, seconds: float) -> None:
        self._plain.sleep(seconds)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every step ends with the request's time. Bytes that drip do not help."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left)
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
