"""Proof that linking an account was begun on our own page.

What belongs here: the token in that link's address. What does not: forms (`csrf.py`).

Linking leads to another site, and a browser does not follow there from a form (form-action of our
content security policy). So it is begun by a link, which carries what a form would. Without it
another site could have somebody's account linked with an account of its own.
"""

from __future__ import annotations

from fastapi import Request

from aethex.service.identity import current_secret
from aethex.service.resources import resources_of


def link_token(request: Request) -> str:
    """The token for this session; empty where nobody is signed in. It is worth nothing in forms."""
    secret = current_secret(request)
    return resources_of(request).csrf.of(f"link {secret}") if secret else ""


def is_link_token(request: Request, token: str) -> bool:
    """Whether it is the token of the session that the request comes with."""
    secret = current_secret(request)
    return secret is not None and resources_of(request).csrf.is_good(token, f"link {secret}")
