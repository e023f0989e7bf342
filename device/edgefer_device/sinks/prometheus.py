"""Metrics for Prometheus: counted here, formatted by prometheus-client.

That package is imported at the first scrape, so that a daemon that nobody scrapes pays
neither start time nor memory for it.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from edgefer import __version__
from edgefer.messages import Report
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.sink import Sink
from edgefer_device.system.clock import LONGEST_SECONDS, Clock, Stopwatch

if TYPE_CHECKING:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

LATENCY_SECONDS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Upper edges of the latency histogram's buckets."""


class Metrics(Sink):
    """Count reports; `exposition` formats them."""

    def __init__(self, health: Health, clock: Clock = time.monotonic) -> None:
        self.health, self._clock = health, clock
        self._stopwatch = Stopwatch(clock)
        self._last: Report | None = None
        self._last_at = 0.0
        self.reports = self.changes = 0
        self.held: defaultdict[str, float] = defaultdict(float)
        """Seconds for which each mood was seen."""
        self.latencies = [0] * (len(LATENCY_SECONDS) + 1)
        self.latency_sum = 0.0

    async def publish(self, report: Report) -> None:
        """Count the report."""
        if report.problem is not None:
            self._stopwatch.stop()
            self._last = None
            return
        self.reports += 1
        passed, before = self._stopwatch.lap(), self._last
        if before is not None and before.mood is not None:
            self.held[before.mood] += passed
            self.changes += report.mood not in (None, before.mood)
        for face in report.faces:
            # Every label from the start: a series must not begin with its first event.
            for label in face.probabilities:
                self.held[label] += 0.0
        latency = self.health.latency(report)
        if latency is not None:
            self.latencies[bisect_left(LATENCY_SECONDS, latency)] += 1
            self.latency_sum += latency
        self._last, self._last_at = report, self._clock()

    @property
    def present(self) -> Report | None:
        """The last report, while it is current."""
        fresh = self._clock() - self._last_at <= LONGEST_SECONDS
        return self._last if fresh else None


def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that an Accept header asks for, and its content type.

    Formats: Prometheus text 0.0.4, or OpenMetrics; the first for a header that cannot be read.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    ProcessCollector(registry=registry)
    try:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
    except (TypeError, ValueError):
        # What prometheus-client raises for a version that is no number.
        encode, content_type = choose_encoder("")
        return encode(registry), content_type


class _Collector:
    """Yield the metrics of a scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Name nothing ahead: there is one collector, and no clash to look for."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _health(self._metrics.health)
        yield from _moods(self._metrics)
        yield _latency(self._metrics)


def _health(health: Health) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily as Counter
    from prometheus_client.metrics_core import GaugeMetricFamily as Gauge
    from prometheus_client.metrics_core import InfoMetricFamily as Info

    yield Info("edgefer_build", "The version that runs here.", {"version": __version__})
    state = health.state()
    yield Gauge("edgefer_healthy", "1 while every part is healthy, as /healthz.", state.ok)
    parts = state.parts
    healthy = Gauge("edgefer_part_healthy", "1 while a part is healthy.", labels=["part"])
    yield _fill(healthy, {name: float(part.ok) for name, part in parts.items()})
    age = Gauge("edgefer_part_age_seconds", "Seconds since it last did its work.", labels=["part"])
    yield _fill(age, {name: part.age for name, part in parts.items() if part.age is not None})
    dropped = Counter("edgefer_part_dropped", "Frames or reports dropped.", labels=["part"])
    yield _fill(dropped, {name: float(part.dropped) for name, part in parts.items()})
    yield Counter("edgefer_camera_frames", "Frames that the camera delivered.", health.frames)


def _moods(metrics: Metrics) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily as Counter
    from prometheus_client.metrics_core import GaugeMetricFamily as Gauge

    yield Counter("edgefer_reports", "Frames that were analysed.", metrics.reports)
    yield Counter("edgefer_mood_changes", "Changes from one mood to another.", metrics.changes)
    held = Counter("edgefer_mood_seconds", "Seconds for which a mood was seen.", labels=["mood"])
    yield _fill(held, dict(sorted(metrics.held.items())))
    # The last report is not current when the camera stalls.
    now = metrics.present
    if now is None:
        return
    yield Gauge("edgefer_faces", "Faces in view.", len(now.faces))
    mood = Gauge("edgefer_mood", "1 for the mood that is seen now.", labels=["mood"])
    labels = sorted({*metrics.held, *filter(None, [now.mood])})
    yield _fill(mood, {label: float(label == now.mood) for label in labels})
    if now.confidence is not None:
        yield Gauge("edgefer_mood_confidence", "Its filtered probability, 0..1.", now.confidence)


def _fill(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, float]) -> Metric:
    """Return a family with a sample for each value of its one label."""
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _latency(metrics: Metrics) -> Metric:
    from prometheus_client.metrics_core import HistogramMetricFamily as Histogram
    from prometheus_client.utils import floatToGoString

    edges = [*map(floatToGoString, LATENCY_SECONDS), "+Inf"]
    counts = accumulate(metrics.latencies)
    return Histogram(
        "edgefer_latency_seconds",
        "Seconds from a frame's capture to its report.",
        buckets=list(zip(edges, counts, strict=True)),
        sum_value=metrics.latency_sum,
    )
