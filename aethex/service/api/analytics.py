"""`/api/analytics/…`: numbers of streams and channels, from the marts' current build.

What belongs here: reading parameters, and answering with an entity tag. What does not: SQL (that is
`aethex.lake.analytics`) and the shapes of answers (`measures.py`).

An answer is computed once per build and kept as the bytes that are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Annotated

import duckdb
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from aethex.lake import analytics
from aethex.lake.analytics import NotInBuild
from aethex.lake.players import stream_players
from aethex.library import channels, streams
from aethex.library.ids import is_id
from aethex.service.api.measures import (
    ChannelAnalyticsOut,
    StreamAnalyticsOut,
    ViewersChartOut,
    channel_out,
    chart_out,
    stream_out,
)
from aethex.service.api.moments import From, To
from aethex.service.api.schemas import ChannelId, StreamId
from aethex.service.marts import OpenBuild
from aethex.service.problems import Problem, bad_field, documented_problems, not_found
from aethex.service.ranges import is_not_modified
from aethex.service.resources import Resources, resources_of

router = APIRouter(prefix="/analytics", tags=["analytics"])

DEFAULT_POINTS = 1_000
MAX_POINTS = 20_000
_RESPONSES = {
    304: {"description": "The client's copy (`If-None-Match`) is still good."},
    **documented_problems(404, 422, 503),
}


@router.get(
    "/streams/{stream_id}",
    summary="A stream's numbers and segments",
    response_model=StreamAnalyticsOut,
    responses=_RESPONSES,
)
def read_stream(request: Request, stream_id: StreamId) -> Response:
    """Peak, average, coverage and messages of a whole stream, and of each of its segments."""
    resources = resources_of(request)

    def question(con: duckdb.DuckDBPyConnection, opened: OpenBuild) -> StreamAnalyticsOut:
        stream = analytics.stream_summary(con, stream_id)
        segments = analytics.stream_segments(con, stream_id)
        return stream_out(stream, segments, stream_players(con, stream_id), opened)

    return _answer(request, resources, ("stream", stream_id), question)


@router.get(
    "/channels/{channel_id}",
    summary="A channel's numbers over a range",
    response_model=ChannelAnalyticsOut,
    responses=_RESPONSES,
)
def read_channel(
    request: Request, channel_id: ChannelId, from_at: From = None, to_at: To = None
) -> Response:
    """A channel over `[from, to)`, by default all of it; what crosses a border is split there."""
    _check_range(from_at, to_at)

    def question(con: duckdb.DuckDBPyConnection, opened: OpenBuild) -> ChannelAnalyticsOut:
        summary = analytics.channel_summary(con, channel_id, from_at, to_at)
        days = analytics.channel_days(con, channel_id, from_at, to_at)
        return channel_out(summary, days, opened)

    return _answer(
        request, resources_of(request), ("channel", channel_id, from_at, to_at), question
    )


@router.get(
    "/charts/viewers",
    summary="Viewers and chat over time",
    response_model=ViewersChartOut,
    responses=_RESPONSES,
)
def read_viewers_chart(
    request: Request,
    stream_id: Annotated[
        str,
        Query(
            max_length=64,
            description="Id of the stream.",
            examples=["st_01JH2V5Q8ZK3M4N5P6Q7R8S9TB"],
        ),
    ],
    from_at: From = None,
    to_at: To = None,
    max_points: Annotated[
        int, Query(ge=1, le=MAX_POINTS, description="Most points in the answer.")
    ] = DEFAULT_POINTS,
) -> Response:
    """Viewers of one stream over `[from, to)`, by default the whole stream.

    The summary is always of all samples in the range, however many points there are.
    """
    _check_range(from_at, to_at)

    def question(con: duckdb.DuckDBPyConnection, opened: OpenBuild) -> ViewersChartOut:
        try:
            chart = analytics.viewers_chart(con, stream_id, from_at, to_at, max_points)
        except ValueError as error:
            remedy = "Give a range that overlaps the stream."
            raise bad_field("from", _sentence(error), remedy) from error
        return chart_out(chart, opened)

    key = ("viewers", stream_id, from_at, to_at, max_points)
    return _answer(request, resources_of(request), key, question)


def _answer(
    request: Request,
    resources: Resources,
    key: Hashable,
    question: Callable[[duckdb.DuckDBPyConnection, OpenBuild], BaseModel],
) -> Response:
    """The answer from the current build, computed once per build; 304 when the client has it."""
    opened = resources.marts.current()
    headers = {"ETag": opened.etag, "Cache-Control": "no-cache"}

    def compute(con: duckdb.DuckDBPyConnection) -> bytes:
        return question(con, opened).model_dump_json(by_alias=True).encode()

    try:
        body = opened.answer(key, compute)
    except NotInBuild as error:
        raise _not_in_build(resources, error) from error
    if is_not_modified(request.headers, opened.etag, None):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _not_in_build(resources: Resources, error: NotInBuild) -> Problem:
    """404: says whether the thing is unknown, or only newer than the build."""
    is_stream = error.kind == "stream"
    known = None
    if is_id("st" if is_stream else "ch", error.key):
        with resources.library.session() as session:
            known = (streams if is_stream else channels).get(session, error.key)
    if known is None:
        return not_found(error.kind, error.key)
    return Problem(
        404,
        f"There are no numbers of {error.kind} {error.key} yet: it is newer than the last build, "
        "or nothing was measured. Run `aethex pipeline refresh`.",
        kind="not-in-build",
        title="Not measured yet",
    )


def _check_range(from_at: datetime | None, to_at: datetime | None) -> None:
    """Raises a 422 Problem when the range is empty."""
    if from_at is not None and to_at is not None and from_at >= to_at:
        raise bad_field("from", "It is not before to.", "Give a from that is earlier than to.")


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
