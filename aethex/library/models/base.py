"""What all of the library's tables share."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, MetaData
from sqlalchemy.orm import DeclarativeBase

USERNAME_PATTERN = "^[a-z0-9][a-z0-9_-]{1,39}$"
PROVIDER_PATTERN = "^[a-z0-9_]{1,40}$"
SHA256_PATTERN = "^[0-9a-f]{64}$"


class Base(DeclarativeBase):
    """Names of constraints follow one pattern, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """A check that the column holds one of these."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} in ({listed})", name=f"{column}_known")
