"""What a section of the settings page consists of, and how its forms end.

What belongs here: what all sections share. What does not: any section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse

from aethex.library import InvalidValue, User


@dataclass(frozen=True, slots=True)
class Section:
    """A section: `name` is its anchor and its template, `templates/settings/<name>.html`.

    heading: of sections that are not everywhere: the title here, or None where there is no such
    section. values: what the template gets as `v`, beside `user`, `error` (or None), `entered` and
    `csrf_field`; it may ask the library with the session.
    """

    name: str
    title: str
    values: Callable[[Request, Session, User], Mapping[str, Any]] = lambda *_: {}
    heading: Callable[[Request], str | None] | None = None

    def title_in(self, request: Request) -> str | None:
        """Its title on the page of this request; None: it is not on it."""
        return self.heading(request) if self.heading else self.title


@dataclass
class Refused(Exception):
    """A form of a section that cannot be taken: the page is drawn again (422), with what was
    entered (never passwords).
    """

    section: str
    form_field: str
    detail: str
    entered: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def refusing(section: Section, form_field: str, **entered: str) -> Iterator[None]:
    """Let what the library refuses in this block be said beside that field of the section."""
    try:
        yield
    except InvalidValue as error:
        raise Refused(section.name, form_field, str(error), entered) from error


def saved(section: Section) -> RedirectResponse:
    """Back to the page, which says that the section was saved."""
    return RedirectResponse(f"/settings?saved={section.name}#{section.name}", status_code=303)
