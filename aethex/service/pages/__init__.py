"""Pages that viewers see: HTML made by the service, usable without scripts."""

from fastapi import APIRouter

from aethex.service.pages import (
    accounts,
    acting,
    captions,
    channel,
    history,
    oidc,
    routes,
    settings,
)

router = APIRouter()
for _part in (routes, channel, history, acting, captions, accounts, oidc, settings):
    router.include_router(_part.router)

__all__ = ["router"]
