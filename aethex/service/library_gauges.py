"""What the library has now, as gauges of `/metrics`.

What belongs here: their names, and how often the library is asked. What does not: the query
(`library.gauges`), what the service itself counts (`metrics`).

The library is asked when somebody asks for the metrics, every few seconds at most. While it does
not answer the page is there without these: a number that is not known is no zero.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aethex.library import Library
from aethex.library.gauges import Gauges, gauges

KEPT_SECONDS = 5.0

_log = logging.getLogger(__name__)


class LibraryGauges(Collector):
    """The gauges as they were measured last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._measured_at: float | None = None
        self._found: Gauges | None = None

    def measure(self, library: Library) -> None:
        """Ask the library, unless that was done just now; who comes meanwhile waits for it."""
        with self._lock:
            now = self._clock()
            if self._measured_at is not None and now - self._measured_at < KEPT_SECONDS:
                return
            try:
                with library.session() as s:
                    self._found = gauges(s)
            except Exception as error:  # whatever is wrong there, the rest of the page is right
                _log.warning("The library's gauges are not known: %s", error)
                self._found = None
            self._measured_at = self._clock()

    def collect(self) -> Iterable[Metric]:
        """One family each; without values where nothing is known."""
        found, is_measured = self._found, self._measured_at is not None
        up = _gauge("aethex_library_up", "Whether the library could be asked.")
        if is_measured:
            up.add_metric([], float(found is not None))
        yield up
        yield from _families(found)


def _families(found: Gauges | None) -> Iterator[Metric]:
    jobs = _gauge("aethex_jobs", "Jobs.", "kind", "state")
    oldest = _gauge(
        "aethex_jobs_oldest_queued_seconds", "How long the first job waits that is due.", "kind"
    )
    vods = _gauge("aethex_vods", "VODs.", "status")
    waiting = _gauge("aethex_webhooks_waiting", "Webhooks that wait for being applied.")
    live = _gauge("aethex_live_streams", "Streams that are live.")
    recordings = _gauge("aethex_recordings_open", "Recordings that grow or are to be finished.")
    if found is not None:
        for labels, count in sorted(found.jobs.items()):
            jobs.add_metric(labels, count)
        for kind, seconds in sorted(found.oldest_queued_seconds.items()):
            oldest.add_metric([kind], seconds)
        for status, count in sorted(found.vods.items()):
            vods.add_metric([status], count)
        waiting.add_metric([], found.webhooks_waiting)
        live.add_metric([], found.live_streams)
        recordings.add_metric([], found.open_captures)
    yield from (jobs, oldest, vods, waiting, live, recordings)


def _gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, labels=labels)
