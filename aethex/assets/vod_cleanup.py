"""The clean-up of VODs as an asset: what it deleted is its history."""

from datetime import UTC, datetime

import dagster as dg

from aethex.library import Library
from aethex.settings import Settings
from aethex.store import open_store
from aethex.workers.vod_cleanup import CleanedUp, clean_up_vods


class VodCleanupConfig(dg.Config):
    """is_dry_run: only say what would be hidden and deleted."""

    is_dry_run: bool = False


@dg.asset(group_name="vods", kinds={"postgres"}, owners=["team:platform"])
def vod_cleanup(
    context: dg.AssetExecutionContext,
    config: VodCleanupConfig,
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """VODs that are older than their channel keeps them are hidden; those that were hidden or
    deleted 30 days ago, and test recordings of a day ago, are deleted with their objects.

    Grain: one run a day. Source: the library. Running it again finds nothing more to do; killed
    anywhere, the next run goes on. It fails at its end when objects of a VOD cannot be deleted, and
    says why. Clips that were made from a deleted VOD have objects of their
    own and stay.
    """
    done = clean_up_vods(
        library,
        open_store(settings),
        settings,
        datetime.now(UTC),
        is_dry_run=config.is_dry_run,
        progress=lambda title, share: context.log.info(f"{share:.0%} done, now {title}"),
    )
    if done.failed:
        raise dg.Failure(
            f"The objects of {len(done.failed)} VODs could not be deleted; the others are done.",
            metadata={**_metadata(done), "failed": dg.MetadataValue.json(done.failed)},
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=_metadata(done))


def _metadata(done: CleanedUp) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord(
            {
                "vod": one.vod_id,
                "title": one.title,
                "reason": one.reason,
                "objects": one.objects,
                "bytes": one.size_bytes,
            }
        )
        for one in done.purged
    ]
    return {
        "is dry run": dg.MetadataValue.bool(done.is_dry_run),
        "expired": dg.MetadataValue.json(done.expired),
        "deleted": dg.MetadataValue.table(records),
        "objects deleted": dg.MetadataValue.int(done.objects),
        "bytes deleted": dg.MetadataValue.int(done.size_bytes),
    }
