"""Publishing and keeping: sizes, terms and budgets of the lake's work.

What belongs here: how much one publish takes, and how long what it replaces stays. What does not:
where the lake is (`storage.py`).
"""

from __future__ import annotations

from pydantic import Field

from aethex.settings.group import SettingsGroup


class LakeSettings(SettingsGroup):
    """How much a publish takes, and how long what is kept stays."""

    landing_rows_per_object: int = Field(
        default=250_000, gt=0, description="Most rows in one landing object of an import."
    )
    window_max_rows: int = Field(
        default=1_000_000,
        gt=0,
        description="Most rows that one publish window holds; it bounds the publisher's memory. "
        "A single landing object above it is a window of its own.",
    )

    landing_keep_days: float = Field(
        default=7,
        ge=0,
        description="How long landed objects stay after they were published, in days; so long "
        "their windows can be published again. Then they go, once their rows are proven to be in "
        "the tables.",
    )
    quarantine_keep_days: float = Field(
        default=30, ge=0, description="How long refused events stay in quarantine, in days."
    )
    builds_keep_days: float = Field(
        default=30,
        ge=0,
        description="How long past builds can be opened, in days. The current one always stays.",
    )
    snapshots_keep_hours: float = Field(
        default=24,
        ge=0,
        description="How long past states of the lake's tables can be read, in hours.",
    )
    orphans_grace_hours: float = Field(
        default=24,
        ge=1,
        description="How old files of the lake that nothing names must be to be deleted, in hours: "
        "longer than any run takes from writing a file to naming it.",
    )
    maintenance_budget_seconds: float = Field(
        default=240,
        gt=0,
        description="How long one maintenance may take, in seconds; publishing waits meanwhile. "
        "What is left is done by the next.",
    )
    watermark_late_seconds: float = Field(
        default=900,
        gt=0,
        description="How long what has landed may wait for being published, in seconds, before the "
        "check of freshness turns red.",
    )
