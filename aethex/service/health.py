"""`/healthz` and `/readyz`: is the process up, and do the parts that it needs answer.

What belongs here: the two routes and their checks, each with a time limit. What does not: repairing
anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from aethex.service.problems import Problem, as_problem, documented_problems, unavailable
from aethex.service.resources import Resources, resources_of

CHECK_SECONDS = 2.0
"""Each part must answer within this."""

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field(description="Always `ok`.", examples=["ok"])


class PartState(BaseModel):
    """One part that the service needs."""

    status: Literal["ok"] = Field(description="The part answers.", examples=["ok"])
    detail: str | None = Field(
        default=None, description="More about it.", examples=["No build yet."]
    )


class Readiness(BaseModel):
    """All parts answer. A build that was never published is no failure: pages work without."""

    status: Literal["ok"] = Field(description="Always `ok`.", examples=["ok"])
    database: PartState
    store: PartState
    build: PartState


@router.get("/healthz", summary="Is the process up")
async def healthz() -> Health:
    """Answers as long as the process does; asks nothing else."""
    return Health(status="ok")


@router.get(
    "/readyz", summary="Do database, store and build answer", responses=documented_problems(503)
)
async def readyz(request: Request) -> Readiness:
    """Checks the parts side by side, each within two seconds; 503 names one that fails."""
    resources = resources_of(request)
    checks: dict[str, Callable[[Resources], str | None]] = {
        "database": _check_database,
        "store": _check_store,
        "build": _check_build,
    }
    states = await asyncio.gather(
        *(_check(part, check, resources) for part, check in checks.items())
    )
    return Readiness(status="ok", **dict(zip(checks, states, strict=True)))


async def _check(
    part: str, check: Callable[[Resources], str | None], resources: Resources
) -> PartState:
    try:
        with anyio.fail_after(CHECK_SECONDS):
            detail = await anyio.to_thread.run_sync(check, resources, abandon_on_cancel=True)
    except TimeoutError:
        raise unavailable(
            part, f"The {part} did not answer within {CHECK_SECONDS:g} seconds."
        ) from None
    except Exception as error:
        raise unavailable(part, _why(part, error)) from error
    return PartState(status="ok", detail=detail)


def _why(part: str, error: Exception) -> str:
    problem: Problem = as_problem(error)
    return f"The {part} failed: {problem.detail}"


def _check_database(resources: Resources) -> str | None:
    with resources.library.engine.connect():  # the pool asks the server before it hands one out
        pass
    return None


def _check_store(resources: Resources) -> str | None:
    resources.store.check()
    return None


def _check_build(resources: Resources) -> str | None:
    build = resources.marts.check()
    if build is None:
        return "No build yet: run `aethex pipeline refresh`."
    if build.fresh_until is None:
        return f"Build {build.id}."
    return f"Build {build.id}, data to {build.fresh_until:%Y-%m-%dT%H:%M:%SZ}."
