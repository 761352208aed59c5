"""One page of a list, and how many items the whole list has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from aethex.library.errors import InvalidValue

T = TypeVar("T")
MAX_PER_PAGE = 200


class Page(NamedTuple, Generic[T]):
    """Items of one page, and the number of items on all pages."""

    items: Sequence[T]
    total: int


def offset_of(page: int, per_page: int) -> int:
    """Items before the page, counted from 1. Raises InvalidValue outside 1.. and 1..200."""
    if page < 1:
        raise InvalidValue(f"Page {page} does not exist: pages count from 1.")
    if not 1 <= per_page <= MAX_PER_PAGE:
        raise InvalidValue(f"{per_page} items a page: ask for 1 to {MAX_PER_PAGE}.")
    return (page - 1) * per_page
