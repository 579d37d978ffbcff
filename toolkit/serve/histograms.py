"""Histograms that are quick to count: every request meets three of them.

prometheus_client's own take several times as long to count; it writes these as it writes its own.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Histograms(Collector):
    """One metric: counts of values by bucket for each set of labels; used in one thread."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], limits: Sequence[float]
    ) -> None:
        self._name, self._text, self._labels, self._limits = name, text, labels, limits
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """Count a value."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._limits) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._limits, value)] += 1
        self._sums[labels] += value

    def drop(self, labels: Callable[[tuple[str, ...]], bool]) -> None:
        """Forget the sets of labels for which the function is true."""
        for gone in [each for each in self._counts if labels(each)]:
            del self._counts[gone], self._sums[gone]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As prometheus_client asks for it."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(float(limit)) for limit in self._limits), "+Inf"]
        for labels, counts in self._counts.items():
            total, buckets = 0, []
            for name, count in zip(names, counts, strict=True):
                total += count
                buckets.append((name, total))
            family.add_metric(labels, buckets, self._sums[labels])
        yield family
