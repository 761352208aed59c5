"""The accounts of people who come from the issuer.

What belongs here: the one step from who the issuer says somebody is to their user. What does not:
rows (`library.identities`), sessions and tokens.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from aethex.library import User, accounts, identities
from aethex.library.audit import Actor
from aethex.service.oidc.claims import Person


def user_of_person(s: Session, issuer: str, person: Person, address: str) -> User:
    """The person's user, made when they come for the first time, with the role that they have now.

    address: where the request came from, for the audit log.
    """
    user = identities.ensure_user(
        s,
        Actor(None, address),
        issuer,
        person.subject,
        username=person.username,
        display_name=person.display_name,
    )
    if person.role is not None and person.role != user.role:
        user = accounts.set_role(s, Actor(user.id, address), user.id, person.role)
    return user
