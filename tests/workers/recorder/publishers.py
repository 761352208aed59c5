"""Publishers that push to a server under test, and sinks that keep what it received.

What belongs here: footage, ffmpeg as an encoder, a client that sends what a test wants. What does
not: the RTMP of that client (tests/media/rtmp/encoder.py).
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import av
from av.error import InvalidDataError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aethex.media.ffmpeg import find_ffmpeg
from tests.media.rtmp.encoder import HELLO, HELLO_AGAIN, Chunker, Sent, opening

RATE = 25


class Kept:
    """A sink that keeps everything; `is_clean` is None until it is finished."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_clean: bool | None = None
        self.has_bytes = asyncio.Event()
        self.finished = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.data += data
        self.has_bytes.set()

    async def finish(self, is_clean: bool) -> None:
        assert self.is_clean is None, "finished twice"
        self.is_clean = is_clean
        self.finished.set()

    async def has(self, size_bytes: int) -> None:
        """Wait until so many bytes are here."""
        while len(self.data) < size_bytes:
            self.has_bytes.clear()
            await self.has_bytes.wait()


class Sinks(list[Kept]):
    """The sinks of a server, one a publication, in the order in which they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def new(self) -> Kept:
        self.append(Kept())
        self._grown.set()
        return self[-1]

    async def first(self) -> Kept:
        """Wait for it."""
        await self._grown.wait()
        return self[0]


def make_footage(path: Path, *, seconds: int = 2, codec: str = "libx264") -> Path:
    """A small film with a keyframe each second and a tone."""
    options = ("-x265-params", "log-level=none") if codec == "libx265" else ()
    subprocess.run(
        [
            *(find_ffmpeg(), "-nostdin", "-v", "error", "-y"),
            *("-f", "lavfi", "-i", f"testsrc2=size=160x90:rate={RATE}:duration={seconds}"),
            *("-f", "lavfi", "-i", f"sine=duration={seconds}"),
            *("-c:v", codec, "-preset", "ultrafast", "-g", str(RATE), *options),
            *("-c:a", "aac", "-b:a", "64k", str(path)),
        ],
        check=True,
    )
    return path


async def ffmpeg(*arguments: str | Path) -> asyncio.subprocess.Process:
    """ffmpeg, started; its stdin takes `q`, its stderr is kept."""
    return await asyncio.create_subprocess_exec(
        *(str(find_ffmpeg()), "-v", "error", *map(str, arguments)),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )


def demuxed(source: Path | bytes) -> dict[str, list[bytes]]:
    """The packets of each kind of stream."""
    found: dict[str, list[bytes]] = {}
    with av.open(BytesIO(source) if isinstance(source, bytes) else source) as container:
        opened: Any = container
        for packet in opened.demux():
            if packet.size:
                found.setdefault(packet.stream.type, []).append(bytes(packet))
    return found


def decoded_frames(source: bytes, *, may_break_off: bool = False) -> int:
    """How many pictures can be shown; raises when one is damaged, unless it is the last one of a
    stream that may break off within it.
    """
    with av.open(BytesIO(source)) as container:
        opened: Any = container
        video = opened.streams.video[0]
        video.codec_context.options = {"err_detect": "explode"}
        packets = list(opened.demux(video))  # the last one flushes the decoder
        shown = 0
        for number, packet in enumerate(packets):
            try:
                shown += len(packet.decode())
            except InvalidDataError:
                if not may_break_off or number < len(packets) - 2:
                    raise
        return shown


class Client:
    """A publisher whose every message a test decides on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.chunker = Chunker()

    @classmethod
    async def connect(cls, port: int, **options: Any) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, **options))

    async def ask(self, key: str) -> bytes:
        """Ask to publish; returns the answer (all bytes of it, until its code is there)."""
        self.writer.write(HELLO + HELLO_AGAIN + self.chunker.bytes_of(opening(key)))
        answer = b""
        while b"NetStream.Publish." not in answer and (data := await self.reader.read(4096)):
            answer += data
        return answer

    async def send(self, messages: Sequence[Sent]) -> None:
        self.writer.write(self.chunker.bytes_of(messages))
        await self.writer.drain()

    async def closed(self) -> bytes:
        """Wait until the server closes; what it said before."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


def tls_pair(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server on 127.0.0.1, and for a client that trusts it and nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(path)
    return server_side, ssl.create_default_context(cafile=path)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test; a minute is a hang."""

    async def in_time() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(in_time(), debug=False)
