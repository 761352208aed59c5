"""Objects: one API over a folder and R2 (or any S3), chosen by URL.

What belongs here: reading, writing and listing objects, with the conditional writes that publishing
and builds stand on. What does not: what the objects mean, and the administration of a bucket.

Every write is atomic, and durable when the call returns. Keys are relative paths with `/`; a
folder cannot hold both `a` and `a/b`, so no part of the platform asks for that. obstore
moves the bytes; its folder store can neither fsync nor replace if unchanged, so a folder's writes
are `durable.DurableFolder`'s. A `Store` may be used from several threads; a forked child opens
its own.
"""

from __future__ import annotations

from aethex.settings import Settings
from aethex.store.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    RangeNotSatisfiable,
    StoreError,
    StoreFull,
    StoreUnreachable,
)
from aethex.store.objects import ObjectInfo, check_key
from aethex.store.store import Store

__all__ = [
    "AlreadyExists",
    "Conflict",
    "NotFound",
    "ObjectInfo",
    "RangeNotSatisfiable",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreUnreachable",
    "check_key",
    "open_store",
]


def open_store(settings: Settings) -> Store:
    """The store that the settings name. Raises StoreError for a URL that is none."""
    secret = settings.store_secret_access_key
    return Store.open(
        settings.effective_store_url,
        endpoint=settings.store_endpoint,
        region=settings.store_region,
        access_key_id=settings.store_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )
