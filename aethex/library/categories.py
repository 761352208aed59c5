"""Queries about categories."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.ids import new_id
from aethex.library.models import Category
from aethex.library.values import valid_text


def get(s: Session, category_id: str) -> Category | None:
    """The category of this id, if there is one."""
    return s.get(Category, category_id)


def ensure_categories(s: Session, names: Iterable[str]) -> dict[str, Category]:
    """The categories of these names, by name as given; missing ones are made. Safe to race.

    Raises InvalidValue for a name that cannot be one.
    """
    stored = {name: valid_text(name, "category's name") for name in names}
    if not stored:
        return {}
    query = select(Category).where(Category.name.in_(set(stored.values())))
    found = {category.name: category for category in s.scalars(query)}
    # In one order for all callers, or two of them could each wait for the other's row.
    missing = sorted(set(stored.values()) - found.keys())
    if missing:
        rows = [{"id": new_id("cat"), "name": name} for name in missing]
        s.execute(insert(Category).values(rows).on_conflict_do_nothing(index_elements=["name"]))
        found = {category.name: category for category in s.scalars(query)}
    return {name: found[kept] for name, kept in stored.items()}
