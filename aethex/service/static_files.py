"""The pages' own files and the browser code of others, under addresses that change with their
content.

What belongs here: `/static/{version}/{name}` and `/static/vendor/{version}/{name}`, where version
is a hash of all files of that folder, so that browsers keep them for a year and relative imports
inside scripts keep working; and `/player.js`, the one file whose address other sites know. What
does not: media (`media.py`) and pages.

Browser code of others is installed by npm into the ignored folder `node_modules`; only the files
named in VENDOR_FILES are served from it.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from aethex.service.problems import not_found
from aethex.service.ranges import is_not_modified
from aethex.settings import PROJECT_DIR

STATIC_DIR = Path(__file__).parent / "static"
NODE_MODULES = PROJECT_DIR / "node_modules"
VENDOR_FILES = {
    # the light build knows no captions in the picture's packets (CEA-608, CEA-708)
    "hls.min.js": "hls.js/dist/hls.min.js",
    "media-chrome.js": "media-chrome/dist/iife/index.js",
}
YEAR_SECONDS = 365 * 24 * 3600
PLAYER = "player.js"
PLAYER_SECONDS = 300
"""How long pages of other sites may use an old player.js before they ask for a newer one."""

_COMPRESSIBLE = ("text/", "image/svg+xml", "application/json")
_CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StaticFile:
    """One file in memory, with its gzip made when it is first asked for."""

    body: bytes
    content_type: str

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:16]

    @cached_property
    def compressed(self) -> bytes | None:
        """The gzip, or None where it would not help."""
        if not self.content_type.startswith(_COMPRESSIBLE):
            return None
        made = gzip.compress(self.body, compresslevel=9, mtime=0)
        return made if len(made) < len(self.body) else None

    def respond(self, request: Request, headers: dict[str, str]) -> Response:
        """The file with these headers, packed where the client takes that; 304 where it has it."""
        etag = f'W/"{self.digest}"'
        headers = {**headers, "ETag": etag, "Vary": "Accept-Encoding"}
        if is_not_modified(request.headers, etag, None):
            return Response(status_code=304, headers=headers)
        body = self.body
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = self.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=self.content_type)


class StaticFolder:
    """Files under one versioned address."""

    def __init__(self, root: str, files: dict[str, Path]) -> None:
        self.root = root
        self.files = {name: _read(path) for name, path in files.items() if path.is_file()}
        if missing := sorted(set(files) - set(self.files)):
            _log.warning("Not installed, so pages do without: %s (`npm ci` installs them)", missing)
        joined = "".join(f"{name}={file.digest};" for name, file in sorted(self.files.items()))
        self.version = hashlib.sha256(joined.encode()).hexdigest()[:12]

    def url(self, name: str) -> str | None:
        """The address of a file, or None when it is not installed."""
        return f"{self.root}/{self.version}/{name}" if name in self.files else None

    def respond(self, request: Request, version: str, name: str) -> Response:
        """The file; an old version's address gets the present file, not to be kept. 404 Problem."""
        file = self.files.get(name)
        if file is None:
            raise not_found("file", name)
        is_current = version == self.version
        kept = f"public, max-age={YEAR_SECONDS}, immutable" if is_current else "no-cache"
        return file.respond(request, {"Cache-Control": kept})


class StaticFiles:
    """The service's own files and the vendors', read once when the service starts."""

    def __init__(self, own_dir: Path = STATIC_DIR, node_modules: Path = NODE_MODULES) -> None:
        own = {
            path.relative_to(own_dir).as_posix(): path
            for path in own_dir.rglob("*")
            if path.is_file()
        }
        vendor = {name: node_modules / source for name, source in VENDOR_FILES.items()}
        self.own = StaticFolder("/static", own)
        self.vendor = StaticFolder("/static/vendor", vendor)


def _read(path: Path) -> StaticFile:
    guessed = _CONTENT_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return StaticFile(path.read_bytes(), guessed or "application/octet-stream")


router = APIRouter(include_in_schema=False)


@router.get("/static/vendor/{version}/{name:path}")
async def read_vendor_file(request: Request, version: str, name: str) -> Response:
    """Browser code of others."""
    return static_of(request).vendor.respond(request, version, name)


@router.get("/static/{version}/{name:path}")
async def read_static_file(request: Request, version: str, name: str) -> Response:
    """The pages' own files."""
    return static_of(request).own.respond(request, version, name)


@router.get("/player.js")
async def read_player(request: Request) -> Response:
    """player.js for the pages of all sites: an address that stays, so a short life in caches."""
    headers = {
        "Cache-Control": f"public, max-age={PLAYER_SECONDS}",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return static_of(request).own.files[PLAYER].respond(request, headers)


def static_of(request: Request) -> StaticFiles:
    """The static files of the service that this request came to."""
    return request.app.state.resources.static
