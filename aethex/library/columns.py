"""Column types that all tables share: ids, times in UTC, milliseconds, bytes, hashes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, Text, func
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Only zoned times go in; what comes out is in UTC, whatever the server's zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone: pass a time in UTC.")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value is not None else None


Id = Annotated[str, mapped_column(Text, primary_key=True)]
String = Annotated[str, mapped_column(Text)]
At = Annotated[datetime, mapped_column(UtcDateTime)]
CreatedAt = Annotated[datetime, mapped_column(UtcDateTime, server_default=func.now())]
Milliseconds = Annotated[int, mapped_column(BigInteger)]
"""Media time. 32 bits would end after 24 days, and streams that never stop exist."""

Bytes = Annotated[int, mapped_column(BigInteger)]
