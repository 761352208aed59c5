"""Inputs that are pulled: over RTMP, SRT and HLS, from real servers on loopback."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import http.server
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlalchemy import select

from aethex.library import Library, Stream, Vod, channels, inputs
from aethex.media.ffmpeg import find_ffmpeg
from aethex.settings import Settings
from aethex.workers.recorder.process import Pace, Recorder
from aethex.workers.recorder.srt import WrongSrtInputs, parsed_inputs
from tests.service_process import free_port
from tests.workers.recorder.live_streams import decoded_frames, make_flv

SECONDS = 5


@pytest.fixture(scope="module")
def flv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_flv(tmp_path_factory.mktemp("flv") / "live.flv", SECONDS, gop=30)


@pytest.fixture
def recording(settings: Settings) -> Settings:
    changes = {"rtmp_port": 0, "recording_min_seconds": 1, "fetch_allow": ("127.0.0.1",)}
    return settings.model_copy(update=changes)


@contextmanager
def serving_file(flv: Path, *output: str) -> Iterator[None]:
    """ffmpeg as a live server that sends the file once, in real time."""
    command = [str(find_ffmpeg()), "-v", "error", "-nostdin", "-re", "-i", str(flv), "-c", "copy"]
    server = subprocess.Popen([*command, *output], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.kill()
        server.wait()


@contextmanager
def serving_hls(flv: Path, folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A web server with a live playlist; its address."""
    handler = functools.partial(_Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    playlist = folder / "live.m3u8"
    with serving_file(flv, *f"-f hls -hls_time 1 -hls_list_size 10 {playlist}".split()):
        while not playlist.exists():
            time.sleep(0.05)  # ffmpeg tells nobody
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/live.m3u8"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(scheme: str, flv: Path, folder: Path) -> Iterator[str]:
    """A live stream of that file; where to pull it."""
    if scheme == "http":
        with serving_hls(flv, folder) as url:
            yield url
        return
    url = f"{scheme}://127.0.0.1:{free_port()}/" + ("live/key" if scheme == "rtmp" else "")
    output = f"-f flv -listen 1 {url}" if scheme == "rtmp" else f"-f mpegts {url}?mode=listener"
    with serving_file(flv, *output.split()):
        yield url


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority's file, and a server's context with a certificate of it for
    127.0.0.1.
    """
    now = datetime.now(UTC)

    def signed(
        name: str, key: PrivateKey, by: str, by_key: PrivateKey, extension: x509.ExtensionType
    ) -> bytes:
        builder = x509.CertificateBuilder(
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(hours=1),
            not_valid_after=now + timedelta(hours=1),
        )
        builder = builder.add_extension(extension, critical=True)
        return builder.sign(by_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    trusted, shown, key = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
    trusted.write_bytes(signed("Root", root, "Root", root, x509.BasicConstraints(True, None)))
    of_loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    shown.write_bytes(signed("127.0.0.1", leaf, "Root", root, of_loopback))
    key.write_bytes(leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    return trusted, context


def add_pull(library: Library, url: str) -> str:
    """An input that is only pulled, whose stream ends a second after it is lost."""
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        return inputs.add_input(s, channel.id, "pull", pull_url=url, reconnect_seconds=1).id


def record_until(settings: Settings, library: Library, seconds: float = 40) -> Vod | None:
    """Record in this process until there is a VOD that is ready."""

    def ready() -> Vod | None:
        with library.session() as s:
            return s.scalars(select(Vod).where(Vod.status == "ready")).first()

    async def run() -> Vod | None:
        recorder = Recorder(settings, library, Pace(busy_seconds=0.1, idle_seconds=0.1))
        running = asyncio.create_task(recorder.run())
        deadline = time.monotonic() + seconds
        while (vod := await asyncio.to_thread(ready)) is None and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        recorder.stop.set()
        await running
        return vod

    return asyncio.run(run())


@pytest.mark.parametrize("scheme", ["rtmp", "srt", "http"])
def test_what_is_pulled_becomes_a_vod(
    scheme: str, recording: Settings, library: Library, flv: Path, tmp_path: Path
):
    with serving(scheme, flv, tmp_path) as url:
        add_pull(library, url)
        vod = record_until(recording, library)
    assert vod is not None
    assert (vod.width, vod.audio_codec) == (320, "aac")
    assert (vod.duration_ms or 0) > (SECONDS - 2) * 1000
    if scheme != "srt":  # a busy machine loses packets of SRT, as networks do
        assert decoded_frames(recording, str(vod.playlist_key)) > (SECONDS - 2) * 30
    with library.session() as s:
        assert s.scalars(select(Stream.status)).all() == ["ended"]


def test_a_picture_that_cannot_be_recorded_does_not_make_a_stream_live(
    recording: Settings, library: Library, flv: Path, tmp_path: Path
):
    """HEVC: it would connect and be lost for ever, and each time were two signals more."""
    command = [str(find_ffmpeg()), "-v", "error", "-i", str(flv), "-c:v", "libx265", "-x265-params"]
    other = tmp_path / "hevc.flv"
    subprocess.run([*command, "log-level=none:keyint=30", str(other)], check=True)

    async def pull_once() -> bool:
        recorder = Recorder(recording, library)
        (pull,) = await asyncio.to_thread(recorder._desk.pulls)
        try:
            return await recorder._pulls._once(pull)
        finally:
            await recorder._pulls.stop()
            recorder._holds.close()
            recorder._spool.close()

    with serving_hls(other, tmp_path) as url:
        add_pull(library, url)
        assert not asyncio.run(pull_once())
    with library.session() as s:
        assert s.scalars(select(Stream.status)).all() == []


@contextmanager
def behind_tls(port: int, tls: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS and passes on to the other one."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def relay(taken: socket.socket) -> None:
        with (
            suppress(OSError),
            tls.wrap_socket(taken, server_side=True) as inner,
            socket.create_connection(("127.0.0.1", port)) as outer,
        ):
            back = threading.Thread(target=pump, args=(outer, inner), daemon=True)
            back.start()
            pump(inner, outer)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=relay, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


@contextmanager
def serving_securely(scheme: str, flv: Path, folder: Path, tls: ssl.SSLContext) -> Iterator[str]:
    """A live stream of that file behind TLS; where to pull it."""
    if scheme == "https":
        with serving_hls(flv, folder, tls) as url:
            yield url
        return
    port = free_port()
    listening = f"-f flv -listen 1 rtmp://127.0.0.1:{port}/live/key"
    with serving_file(flv, *listening.split()), behind_tls(port, tls) as secure:
        yield f"rtmps://127.0.0.1:{secure}/live/key"


@pytest.mark.parametrize("scheme", ["https", "rtmps"])
def test_over_tls_only_a_server_whose_certificate_is_good_is_pulled(
    recording: Settings,
    library: Library,
    flv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
):
    trusted, tls = authority(tmp_path)
    folder = tmp_path / "served"
    folder.mkdir()
    with serving_securely(scheme, flv, folder, tls) as url:
        add_pull(library, url)
        assert record_until(recording, library, 3) is None
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert record_until(recording, library) is not None


def test_what_is_pushed_over_srt_becomes_a_vod(recording: Settings, library: Library, flv: Path):
    port, key = free_port(), "a-key-of-the-input"
    with library.session() as s:
        channel = channels.ensure_channel(s, "gdq")
        inputs.add_input(s, channel.id, "srt", key=key, reconnect_seconds=1)
    listening = recording.model_copy(update={"srt_inputs": SecretStr(f"{port}={key}")})
    url = f"srt://127.0.0.1:{port}?passphrase={key}&connect_timeout=20000"
    with serving_file(flv, "-f", "mpegts", url):
        vod = record_until(listening, library)
    assert vod is not None
    assert (vod.duration_ms or 0) > (SECONDS - 2) * 1000


@pytest.mark.parametrize(
    "text",
    [
        "9001",
        "x=a-key-of-the-input",
        "9001=short",
        "9001=a-key-of-the-input,9001=b-key-of-the-input",
    ],
)
def test_srt_inputs_that_cannot_be_are_refused_without_quoting_a_key(text: str):
    with pytest.raises(WrongSrtInputs) as refused:
        parsed_inputs(text, "127.0.0.1")
    assert "key-of" not in str(refused.value)
    assert "short" not in str(refused.value)


def test_an_address_of_ones_own_network_is_not_pulled(
    recording: Settings,
    library: Library,
    flv: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    closed = recording.model_copy(update={"fetch_allow": ()})
    with serving("rtmp", flv, tmp_path) as url:
        add_pull(library, url)
        assert record_until(closed, library, seconds=2) is None
    assert "127.0.0.1 leads to 127.0.0.1, which is no public address" in caplog.text


def can_limit_ports() -> bool:
    """Whether the kernel can (Landlock since Linux 6.7)."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 4


@pytest.mark.parametrize("scheme", ["http", "httpproxy"])
def test_a_playlist_cannot_lead_elsewhere(
    recording: Settings, library: Library, tmp_path: Path, scheme: str
):
    """A playlist on an address that may be asked names segments on one that may not."""
    if scheme == "httpproxy" and not can_limit_ports():
        pytest.skip("this kernel does not limit ports")
    asked: list[str] = []

    class Handler(_Quiet):
        def handle(self) -> None:
            asked.append(str(self.rfile.readline()))

    server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "live.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
        f"#EXTINF:2,\n{scheme}://127.0.0.2:{server.server_port}/secret.ts\n"
    )
    front = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=tmp_path)
    )
    threading.Thread(target=front.serve_forever, daemon=True).start()
    add_pull(library, f"http://127.0.0.1:{front.server_port}/live.m3u8")
    assert record_until(recording, library, seconds=4) is None
    assert asked == []
    for one in (server, front):
        one.shutdown()
        one.server_close()
