"""`GET /metrics`: what the service counts, in Prometheus' text format.

What belongs here: the metrics and the route. What does not: when they change (each part says it).

With several worker processes each keeps its numbers in files of one folder, and any of them answers
for all (`PROMETHEUS_MULTIPROC_DIR`, which `aethex run service` sets).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

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
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from aethex.lake.windows import watermark
from aethex.service.library_gauges import LibraryGauges
from aethex.store import Store, StoreError

router = APIRouter(tags=["health"])

_SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
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
            multiprocess_mode="mostrecent",  # all of them count the same rows
        )
        self.polls = Counter(
            "aethex_viewer_polls",
            "Polls of providers' viewer counts.",
            ["provider", "result"],
            registry=self.registry,
        )
        self.webhooks = Counter(
            "aethex_webhooks",
            "What became of webhooks when they came in.",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self._lag = _WatermarkLag()
        self.library = LibraryGauges()
        self._measured = (self._lag, self.library)
        for collector in self._measured:
            self.registry.register(collector)

    def measure_lag(self, store: Store, now: datetime) -> None:
        """Measure the watermark's age at `now` (aware UTC); there is none before the first publish.

        Raises StoreError; then it is the age of the last watermark that was seen.
        """
        self._lag.measure(store, now.replace(tzinfo=None))

    def render(self) -> bytes:
        """All metrics as text; with several workers, of all of them."""
        folder = os.environ.get(_SHARED_FOLDER)
        if folder is None:
            return generate_latest(self.registry)
        _forget_dead_workers(Path(folder))
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, folder)
        for collector in self._measured:  # each process would say the same
            together.register(collector)
        return generate_latest(together)


class _WatermarkLag(Collector):
    """Age of the watermark, measured by whoever answers. It is no Gauge: that has a value, 0, from
    its beginning, and "nothing was published yet" would look like "all of it was".
    """

    def __init__(self) -> None:
        self._reached: datetime | None = None
        self._seconds: float | None = None

    def measure(self, store: Store, now: datetime) -> None:
        try:
            self._reached = watermark(store)
        finally:
            reached = self._reached
            self._seconds = None if reached is None else (now - reached).total_seconds()

    def collect(self) -> Iterable[Metric]:
        lag = GaugeMetricFamily(
            "aethex_watermark_lag_seconds",
            "Age of the publish watermark: what was received before it is in the event tables.",
        )
        if self._seconds is not None:
            lag.add_metric([], self._seconds)
        yield lag


def _forget_dead_workers(folder: Path) -> None:
    """Remove what belongs to living workers alone: a killed one's waiting events wait no more."""
    for file in folder.glob("gauge_live*_*.db"):
        try:
            os.kill(int(file.stem.rpartition("_")[2]), 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)


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
    resources = request.app.state.resources
    metrics: Metrics = resources.metrics
    with suppress(StoreError):  # the lag then grows from what it was
        metrics.measure_lag(resources.store, datetime.now(UTC))
    metrics.library.measure(resources.library)
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)
