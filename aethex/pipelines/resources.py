"""What assets are given: the settings, the library, and the lake with the right to write to it.

Nothing is read or opened before a run needs it. Tests replace `settings` alone and get real parts
in their own folder and database.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from aethex.lake import Lake
from aethex.lake.turn import lake_turn
from aethex.library import Library
from aethex.settings import Settings, get_settings


@dg.resource(description="All settings (AETHEX_*), read when a run starts.")
def settings_resource(_: dg.InitResourceContext) -> Settings:
    return get_settings()


@dg.resource(
    required_resource_keys={"settings"},
    description="The lake. A run that has it is the only one that writes; others wait.",
)
def lake_resource(context: dg.InitResourceContext) -> Iterator[Lake]:
    settings: Settings = context.resources.settings

    def waiting() -> None:
        if context.log:
            context.log.info("another run is writing to the lake; waiting for its end")

    with lake_turn(settings, waiting), Lake.open(settings) as lake:
        yield lake


@dg.resource(required_resource_keys={"settings"}, description="The library in Postgres.")
def library_resource(context: dg.InitResourceContext) -> Iterator[Library]:
    with Library.open(context.resources.settings) as library:
        yield library


def resources() -> dict[str, Any]:
    """All resources by key."""
    return {
        "settings": settings_resource,
        "lake": lake_resource,
        "library": library_resource,
    }
