"""Local stand-ins for the APIs by which live inputs are made, written from their documentation:
Cloudflare's `POST /accounts/{id}/stream/live_inputs` and Mux' `POST /video/v1/live-streams`.

What belongs here: a real HTTP server on loopback. What does not: what the platform makes of it.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
TOKEN = "an-api-token"
TOKEN_ID = "a-token-id"
CLOUDFLARE_KEY = "MTQ0MTcjM3MjI1NDE3ODIyNTI1"
MUX_KEY = "abcdefgh-1234-mux"


class ProviderApis:
    """The server: what was asked of it, and what it refuses."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """Paths and bodies of what it made."""
        self.is_broken = False

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON."""
        if self.is_broken:
            return 200, {"unexpected": True}
        fields = json.loads(body)
        if path == f"/accounts/{ACCOUNT}/stream/live_inputs":
            if authorization != f"Bearer {TOKEN}":
                error = {"code": 10000, "message": "Authentication error"}
                return 403, {"success": False, "errors": [error], "messages": [], "result": None}
            self.asked.append((path, fields))
            return 200, {
                "success": True,
                "errors": [],
                "messages": [],
                "result": _live_input(fields),
            }
        if path == "/video/v1/live-streams":
            good = base64.b64encode(f"{TOKEN_ID}:{TOKEN}".encode()).decode()
            if authorization != f"Basic {good}":
                return 401, {
                    "error": {"type": "unauthorized", "messages": ["Unauthorized request"]}
                }
            self.asked.append((path, fields))
            return 201, {"data": _live_stream(fields)}
        return 404, {"errors": [{"message": "not found"}]}


def _live_input(fields: dict[str, Any]) -> dict[str, Any]:
    uid = "66be4bf738797e01e1fca35a7bdecdcd"
    return {
        "uid": uid,
        "created": "2026-01-30T18:00:00Z",
        "modified": "2026-01-30T18:00:00Z",
        "meta": fields["meta"],
        "recording": {"requireSignedURLs": False, "allowedOrigins": None, **fields["recording"]},
        "rtmps": {"url": "rtmps://live.cloudflare.com:443/live/", "streamKey": CLOUDFLARE_KEY},
        "srt": {"url": "srt://live.cloudflare.com:778", "streamId": uid, "passphrase": "secret"},
        "status": None,
    }


def _live_stream(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "Bu00FQ2GJQKmB",
        "created_at": "1769796000",
        "status": "idle",
        "stream_key": MUX_KEY,
        "playback_ids": [{"id": "p1", "policy": fields["playback_policies"][0]}],
        "reconnect_window": fields["reconnect_window"],
        "new_asset_settings": fields.get("new_asset_settings"),
        "max_continuous_duration": 43200,
    }


@contextmanager
def provider_apis() -> Iterator[ProviderApis]:
    """The running server."""
    stand_in = ProviderApis()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, said = stand_in.answer(self.path, self.headers["Authorization"], body)
            encoded = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests need no log of it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
