"""Kinds of values that settings have: a folder, a list, an issuer's address; as they are read.

What belongs here: making a value of what was set, and refusing it. What does not: any setting.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

PROJECT_DIR = Path(__file__).resolve().parent.parent.parent


def _absolute(path: Path) -> Path:
    """A relative path means the project's folder, wherever the command was started."""
    return path if path.is_absolute() else PROJECT_DIR / path


def listed(value: object) -> object:
    """A text's parts between commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())


def _issuer(url: str) -> str:
    """The address of an OIDC issuer, unchanged: tokens name it letter by letter."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (
        parts.scheme == "http" and _is_loopback(parts.hostname or "")
    )
    if not is_safe or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("give the issuer's https address, without ?, # or a user")
    return url


def _is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]
Issuer = Annotated[str, AfterValidator(_issuer)]
