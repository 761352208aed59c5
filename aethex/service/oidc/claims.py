"""Who somebody is, as the issuer's claims say it.

What belongs here: pure functions of claims. What does not: whether they are true (`tokens`), rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aethex.library import Role
from aethex.settings import Settings

_NAMES = ("preferred_username", "nickname", "name")


@dataclass(frozen=True, slots=True)
class Person:
    """Who the issuer says somebody is. Names are wishes, and can hold anything.

    role: None where the issuer has no say, or said nothing.
    """

    subject: str
    username: str
    display_name: str
    role: Role | None


def person_from(claims: Mapping[str, Any], settings: Settings) -> Person:
    """The person whom checked claims are about."""
    return Person(
        subject=claims["sub"],
        username=_first_text(claims, _NAMES),
        display_name=_first_text(claims, ("name", *_NAMES)),
        role=_role(claims, settings),
    )


def lacks(claims: Mapping[str, Any], settings: Settings) -> bool:
    """Whether something is missing that the issuer may tell elsewhere (userinfo)."""
    has_role = settings.oidc_role_claim is None or _found(claims, settings.oidc_role_claim)[0]
    return not has_role or not _first_text(claims, _NAMES)


def _role(claims: Mapping[str, Any], settings: Settings) -> Role | None:
    if settings.oidc_role_claim is None:
        return None
    is_there, value = _found(claims, settings.oidc_role_claim)
    if not is_there:
        return None
    values = {one for one in (value if isinstance(value, list) else [value]) if type(one) is str}
    if values & set(settings.oidc_admin_values):
        return "admin"
    return "analyst" if values & set(settings.oidc_analyst_values) else "viewer"


def _found(claims: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """Whether the claim is there, and its value. Names may hold dots themselves, as addresses do;
    else a dot leads into an object.
    """
    if name in claims:
        return True, claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


def _first_text(claims: Mapping[str, Any], names: tuple[str, ...]) -> str:
    texts = (claims.get(name) for name in names)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")
