"""All of it as one code location: `dagster … -m aethex.pipelines.definitions`.

`build_defs(resource_overrides=…)` gives fresh definitions with parts replaced, as tests do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from aethex.assets.dims import dims
from aethex.assets.event_tables import event_tables
from aethex.assets.maintenance import maintenance
from aethex.assets.mart_tables import build_mart_table
from aethex.assets.marts import build_marts
from aethex.assets.sources import SOURCES
from aethex.assets.vod_cleanup import vod_cleanup
from aethex.lake.models import load_models
from aethex.pipelines import partitions
from aethex.pipelines.jobs import JOBS
from aethex.pipelines.resources import resources
from aethex.pipelines.schedules import SCHEDULES
from aethex.pipelines.sensors import SENSORS


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Fresh definitions. `resource_overrides` replaces resources by key (`settings` is enough)."""
    models = load_models()
    with warnings.catch_warnings():
        # backfill policies, and owners that Dagster gives sensors itself, are "beta", which is no
        # news for whoever runs a command
        warnings.simplefilter("ignore", dg.BetaWarning)
        mart_tables = [build_mart_table(model, models, partitions.days) for model in models]
        definitions = dg.Definitions(
            assets=[
                *SOURCES,
                event_tables,
                dims,
                *mart_tables,
                build_marts(models),
                maintenance,
                vod_cleanup,
            ],
            jobs=JOBS,
            schedules=SCHEDULES,
            sensors=SENSORS,
            resources={**resources(), **(resource_overrides or {})},
            # steps share the lake and its lock, and a process for each would cost 3 s
            executor=dg.in_process_executor,
        )
        definitions.get_repository_def()  # kept by it; sensors are bound to resources here
    return definitions


@dg.definitions
def defs() -> dg.Definitions:
    """The code location's definitions, made when it is loaded."""
    return build_defs()
