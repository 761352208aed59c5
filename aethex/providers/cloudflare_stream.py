"""Cloudflare Stream.

`GET https://customer-<CODE>.cloudflarestream.com/<INPUT_ID>/views` answers `{"liveViewers": 113}`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self
from urllib.parse import quote

import httpx
import msgspec

from aethex.providers.base import ProviderError
from aethex.settings import Settings


class _Views(msgspec.Struct):
    # beyond 2^53 it is no count, and no column would hold it
    live_viewers: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = msgspec.field(name="liveViewers")


_views = msgspec.json.Decoder(_Views)


class CloudflareStream:
    """One customer's Cloudflare Stream."""

    name: ClassVar[str] = "cloudflare"

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """With the customer's address (`AETHEX_CLOUDFLARE_STREAM_URL`)."""
        return cls(settings.cloudflare_stream_url) if settings.cloudflare_stream_url else None

    async def count_viewers(self, http: httpx.AsyncClient, external_id: str) -> int:
        """Viewers of a live input now. Raises ProviderError."""
        url = f"{self._url}/{quote(external_id, safe='')}/views"
        try:
            answer = await http.get(url)
            answer.raise_for_status()
            return _views.decode(answer.content).live_viewers
        except httpx.HTTPStatusError as error:
            raise ProviderError(
                f"Cloudflare Stream answered {error.response.status_code} for input {external_id}."
            ) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ProviderError(
                f"{self._url} is no address ({error}): correct AETHEX_CLOUDFLARE_STREAM_URL."
            ) from error
        except httpx.HTTPError as error:
            raise ProviderError(
                f"Cloudflare Stream did not answer for input {external_id}: {error!r}."
            ) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProviderError(
                f"Cloudflare Stream's answer for input {external_id} has no viewers: {error}."
            ) from error
