"""`GET /metrics`: what the service counts, in Prometheus' text format.

What belongs here: the metrics and the route. What does not: when they change (each part says it).

With several worker processes each keeps its numbers in files of one folder, and any of them answers
for all (`PROMETHEUS_MULTIPROC_DIR`, which `aethex run service` sets).
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from starlette.responses import Response

from aethex.lake.windows import watermark
from aethex.store import Store, StoreError

router = APIRouter(tags=["health"])

_FLUSH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One service's metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "aethex_events_accepted", "Events that landed.", ["kind"], registry=self.registry
        )
        self.duplicates = Counter(
            "aethex_events_duplicate",
            "Events that stood in one batch twice.",
            registry=self.registry,
        )
        self.rejected = Counter(
            "aethex_events_rejected",
            "Events that went to quarantine.",
            ["field"],
            registry=self.registry,
        )
        self.refused = Counter(
            "aethex_event_requests_refused",
            "Requests with events that were not taken at all, by status.",
            ["status"],
            registry=self.registry,
        )
        self.buffered = Gauge(
            "aethex_events_buffered",
            "Events that wait for the store.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.flush_seconds = Histogram(
            "aethex_flush_seconds",
            "Time to make a flush durable.",
            ["result"],
            buckets=_FLUSH_BUCKETS,
            registry=self.registry,
        )
        self.flush_events = Histogram(
            "aethex_flush_events",
            "Events of a flush.",
            buckets=(1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000),
            registry=self.registry,
        )
        self.outbox_waiting = Gauge(
            "aethex_outbox_waiting",
            "Events of the library that have not landed yet.",
            registry=self.registry,
            multiprocess_mode="max",
        )
        self.polls = Counter(
            "aethex_viewer_polls",
            "Polls of providers' viewer counts.",
            ["provider", "result"],
            registry=self.registry,
        )
        self.watermark_lag = Gauge(
            "aethex_watermark_lag_seconds",
            "Age of the publish watermark: what was received before it is in the event tables.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

    def measure_lag(self, store: Store, now: datetime) -> None:
        """Set the watermark's lag; not set while nothing was ever published. Raises StoreError."""
        reached = watermark(store)
        if reached is not None:
            self.watermark_lag.set((now.replace(tzinfo=None) - reached).total_seconds())

    def render(self) -> bytes:
        """All metrics as text; with several workers, of all of them."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            together = CollectorRegistry()
            multiprocess.MultiProcessCollector(together)
            return generate_latest(together)
        return generate_latest(self.registry)


@router.get(
    "/metrics",
    summary="Counters and gauges for Prometheus",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'aethex_events_accepted_total{kind="playback"} 128.0',
                }
            }
        }
    },
)
def read_metrics(request: Request) -> Response:
    """What the service counts, in Prometheus' text format."""
    metrics: Metrics = request.app.state.resources.metrics
    with suppress(StoreError):  # the lag is then what it was, and the store's own alarm rings
        metrics.measure_lag(request.app.state.resources.store, datetime.now(UTC))
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)
