"""Pages that viewers see: HTML made by the service, usable without scripts."""

from aethex.service.pages.routes import router

__all__ = ["router"]
