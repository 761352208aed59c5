"""The partitions of the mart tables.

One definition for both keys, `stream_day` and `day`: both are UTC days, so that stream and channel
models run in one job.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import dagster as dg

FIRST_DAY = "2005-01-01"
"""Before the first live-streaming sites, so that every import of real data falls into a partition.

A day outside of the partitions is computed all the same by a refresh, which goes by what is due; it
only cannot be chosen for a backfill.
"""


days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1)  # today is a partition too


def newest_partition(wanted: Iterable[date]) -> str:
    """The newest of those days that is a partition; today's when none is."""
    today = days.get_last_partition_key()
    assert today is not None
    keys = [key for day in wanted if FIRST_DAY <= (key := day.isoformat()) <= today]
    return max(keys, default=today)
