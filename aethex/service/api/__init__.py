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
from aethex.service.identity import bearer_ahead

router = APIRouter(prefix="/api")
router.include_router(events.router)  # backends' tokens are its own
for _noun in (channels, vods, captions, ledger, likes, trending, watching, analytics):
    router.include_router(_noun.router, dependencies=[Depends(bearer_ahead)])
