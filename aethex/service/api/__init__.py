"""The JSON API. One file per noun; `schemas.py` and `measures.py` hold the shapes of answers."""

from fastapi import APIRouter

from aethex.service.api import analytics, channels, events, ledger, likes, trending, vods, watching

router = APIRouter(prefix="/api")
for _noun in (events, channels, vods, ledger, likes, trending, watching, analytics):
    router.include_router(_noun.router)
