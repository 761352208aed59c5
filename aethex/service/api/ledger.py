"""`/api/vods/{id}/ledger`: how much of its stream a VOD holds, and what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from aethex.library import GapCause, ledger, streams
from aethex.library.ledger import Ledger
from aethex.service.api.schemas import UtcTime, VodId
from aethex.service.identity import required_user
from aethex.service.problems import Problem, documented_problems
from aethex.service.resources import resources_of
from aethex.service.vod_access import own_vod

router = APIRouter(tags=["vods"])


class GapOut(BaseModel):
    """A time of the stream that is not in the VOD, half open."""

    from_seconds: float = Field(description="Its begin, in seconds from the stream's start.")
    to_seconds: float = Field(description="Its end.")
    duration_seconds: float = Field(description="How long it is.")
    from_at: UtcTime = Field(description="Its begin by the wall clock.")
    cause: GapCause = Field(
        description="`recorder_down`, `store` (it was away for long), `network` (a pull was lost), "
        "`encoder_reconnect`, `dropped` (the encoder's clock jumped), `late_start` (frames "
        "came before the first keyframe, or a pull began after its stream) or `unknown`."
    )


class LedgerOut(BaseModel):
    """What was expected, what was captured and what is missing; the last two make up the first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vod_id": "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA",
                    "expected_seconds": 6187.0,
                    "captured_seconds": 6185.2,
                    "captured_ratio": 0.99971,
                    "gaps": [
                        {
                            "from_seconds": 1204.4,
                            "to_seconds": 1206.2,
                            "duration_seconds": 1.8,
                            "from_at": "2020-01-05T16:45:04.4Z",
                            "cause": "encoder_reconnect",
                        }
                    ],
                }
            ]
        }
    )

    vod_id: str = Field(description="The VOD.")
    expected_seconds: float = Field(
        description="How long its stream was live; while it is, up to what was captured last."
    )
    captured_seconds: float = Field(description="How much of it the VOD holds.")
    captured_ratio: float = Field(description="The second by the first, 0 to 1.")
    gaps: list[GapOut] = Field(description="What is missing, in order.")


@router.get(
    "/vods/{vod_id}/ledger",
    summary="How complete a VOD is",
    responses=documented_problems(401, 403, 404, 422, 503),
)
def read_ledger(request: Request, vod_id: VodId) -> LedgerOut:
    """How much of its stream the VOD holds, and each gap with its cause. Only its channel's owner
    can. 404 also for a VOD that was imported: nobody knows how long its stream was.
    """
    required_user(request)
    with resources_of(request).library.session() as session:
        vod = own_vod(request, session, vod_id)
        stream = streams.get(session, vod.stream_id)
        is_recorded = vod_id in ledger.recorded_live(session, [vod_id])
        found = ledger.ledger(session, vod_id)
    if stream is None or stream.started_at is None or not is_recorded:
        raise Problem(404, f"VOD {vod_id} was imported: it has no ledger.", kind="no-ledger")
    return _out(vod_id, found, stream.started_at)


def _out(vod_id: str, found: Ledger, started_at: datetime) -> LedgerOut:
    return LedgerOut(
        vod_id=vod_id,
        expected_seconds=found.expected_ms / 1000,
        captured_seconds=found.captured_ms / 1000,
        captured_ratio=found.captured_ratio,
        gaps=[
            GapOut(
                from_seconds=gap.from_ms / 1000,
                to_seconds=gap.to_ms / 1000,
                duration_seconds=gap.duration_ms / 1000,
                from_at=started_at + timedelta(milliseconds=gap.from_ms),
                cause=gap.cause,
            )
            for gap in found.gaps
        ],
    )
