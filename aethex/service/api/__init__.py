"""The JSON API. One file per noun; `schemas.py` and `measures.py` hold the shapes of answers."""

from fastapi import APIRouter, Depends

from aethex.service.api import (
    analytics,
    captions,
    channels,
    events,
    ledger,
    likes,
    trending,
    vods,
    watching,
)
from aethex.service.identity import bearer_ahead, kept_nowhere

_BODY_BYTES = 128 * 1024
"""The largest JSON that is read into memory: a VOD's texts, with every character escaped."""

router = APIRouter(prefix="/api")
router.include_router(events.router)  # backends' tokens are its own
for _noun in (channels, vods, captions, ledger, likes, trending, watching, analytics):
    router.include_router(
        _noun.router,
        dependencies=[Depends(bearer_ahead), Depends(kept_nowhere)],
        max_body_size=_BODY_BYTES,
    )
