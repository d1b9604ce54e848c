"""The metrics of a server, for Prometheus. No label comes from a request."""

import functools
from collections.abc import Callable, Iterable
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["METRICS_TYPE", "Part", "ServerMetrics", "counter", "gauge"]

METRICS_TYPE = CONTENT_TYPE_LATEST
"""The content type of the metrics."""

Part = Literal["read", "tokenize", "queue", "compute", "write", "total"]

_SECONDS = tuple(2.0**exponent / 1000 for exponent in range(17))
"""Bounds of durations: powers of two from 1 ms to 65 s."""

_COUNTS = tuple(2.0**exponent for exponent in range(17))


class ServerMetrics:
    """Counters, histograms and gauges of one server, in a registry of their own.

    `gauges` are read when the metrics are: they need no updates.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = functools.partial(Counter, registry=self.registry)
        histogram = functools.partial(Histogram, registry=self.registry)
        self.requests = counter(
            "bothways_requests", "Requests that were answered.", ["route", "model", "status"]
        )
        self.request_seconds = histogram(
            "bothways_request_seconds",
            "Duration of requests, and of their parts.",
            ["route", "model", "part"],
            buckets=_SECONDS,
        )
        self.inputs = counter("bothways_inputs", "Inputs of requests.", ["model", "operation"])
        self.tokens = counter("bothways_tokens", "Tokens of inputs.", ["model", "operation"])
        self.truncated = counter("bothways_truncated", "Inputs that were cut.", ["model"])
        self.rejected = counter("bothways_rejected", "Requests that were refused.", ["reason"])
        self.dropped = counter(
            "bothways_dropped", "Requests that ended before their results.", ["reason"]
        )
        self.batch_tokens = histogram(
            "bothways_batch_tokens", "Tokens of batches.", ["model"], buckets=_COUNTS
        )
        self.batch_inputs = histogram(
            "bothways_batch_inputs", "Inputs of batches.", ["model"], buckets=_COUNTS
        )
        self.batch_seconds = histogram(
            "bothways_batch_seconds", "Duration of batches.", ["model"], buckets=_SECONDS
        )
        for reason in ("queue_full", "body", "inputs", "tokens", "auth", "host", "type"):
            self.rejected.labels(reason)
        for reason in ("disconnect", "deadline"):
            self.dropped.labels(reason)
        ProcessCollector(registry=self.registry)

    def collect(self, gauges: Callable[[], Iterable[Metric]]) -> None:
        """Add metrics that are computed when they are read."""
        self.registry.register(_Computed(gauges))

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return bytes(generate_latest(self.registry))


class _Computed(Collector):
    def __init__(self, gauges: Callable[[], Iterable[Metric]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        return self._gauges()

    def describe(self) -> Iterable[Metric]:
        return ()


def gauge(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    """A gauge with these values, by their labels."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def counter(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    """A counter with these values, by their labels."""
    family = CounterMetricFamily(name, help_text, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family
