"""Counters, gauges and histograms, kept for the whole process as TensorFlow's own are, and printed for Prometheus.

After tensorflow/core/lib/monitoring and tensorflow_serving/util/prometheus_exporter.cc. Knows no metric of ours.
"""

import re
import threading
from bisect import bisect_right
from collections.abc import Sequence

Labels = tuple[str, ...]


class Registry:
    """All metrics, by their internal name: /tensorflow/serving/request_count."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}

    def add(self, name: str, metric: "Metric") -> None:
        """Take in a metric."""
        self._metrics[name] = metric

    def page(self) -> str:
        """All metrics as Prometheus reads them, ordered by name; without an event only the type."""
        lines = []
        for name, metric in sorted(self._metrics.items()):
            lines += metric.lines(re.sub(r"[^a-zA-Z0-9_]", ":", name))
        return "\n".join(lines) + "\n"

    def first_value(self, name: str) -> int:
        """What HandleReloadConfigRequest reports: the first cell of a counter; 0 for anything else."""
        metric = self._metrics.get(name)
        return metric.first_value() if isinstance(metric, Counter) else 0


class Counter:
    """Counts events by label values."""

    def __init__(self, registry: Registry, name: str, *labels: str) -> None:
        self._labels = labels
        self._lock = threading.Lock()
        self._cells: dict[Labels, int] = {}
        registry.add(name, self)

    def increment(self, *values: str, by: int = 1) -> None:
        """Count."""
        with self._lock:
            self._cells[values] = self._cells.get(values, 0) + by

    def first_value(self) -> int:
        """The value of the cell with the smallest labels; 0 before the first event."""
        with self._lock:
            return self._cells[min(self._cells)] if self._cells else 0

    def lines(self, name: str) -> list[str]:
        """The type, then a line a cell."""
        with self._lock:
            cells = sorted(self._cells.items())
        return [f"# TYPE {name} counter"] + [
            f"{name}{{{_label_text(self._labels, values)}}} {count}" for values, count in cells
        ]


class StringGauge:
    """A text by label values. Prometheus has no texts: a cell that is set reads 0, as the original prints it."""

    def __init__(self, registry: Registry, name: str, *labels: str) -> None:
        self._labels = labels
        self._lock = threading.Lock()
        self._cells: set[Labels] = set()
        registry.add(name, self)

    def set(self, *values: str) -> None:
        """Say that there is a text; which one is on no page."""
        with self._lock:
            self._cells.add(values)

    def lines(self, name: str) -> list[str]:
        """The type, then a line a cell."""
        with self._lock:
            cells = sorted(self._cells)
        return [f"# TYPE {name} gauge"] + [f"{name}{{{_label_text(self._labels, values)}}} 0" for values in cells]


class Histogram:
    """Distributes values over buckets by label values."""

    def __init__(self, registry: Registry, name: str, *labels: str, limits: Sequence[float]) -> None:
        """`limits`: upper bounds, exclusive, ascending; one more bucket takes the rest."""
        self._labels = labels
        self._limits = limits
        self._lock = threading.Lock()
        self._cells: dict[Labels, tuple[list[int], float]] = {}
        registry.add(name, self)

    def add(self, value: float, *values: str) -> None:
        """Take in one value."""
        with self._lock:
            counts, total = self._cells.get(values) or ([0] * (len(self._limits) + 1), 0.0)
            counts[bisect_right(self._limits, value)] += 1
            self._cells[values] = (counts, total + value)

    def lines(self, name: str) -> list[str]:
        """The type, then for each cell its buckets, cumulative, its sum and its count."""
        with self._lock:
            cells = sorted((values, list(counts), total) for values, (counts, total) in self._cells.items())
        lines = [f"# TYPE {name} histogram"]
        for values, counts, total in cells:
            labels = _label_text(self._labels, values)
            cumulative = 0
            for limit, count in zip([*(f"{limit:g}" for limit in self._limits), "+Inf"], counts, strict=True):
                cumulative += count
                lines.append(f'{name}_bucket{{{labels}{"," if labels else ""}le="{limit}"}} {cumulative}')
            lines += [f"{name}_sum{{{labels}}} {total:g}", f"{name}_count{{{labels}}} {cumulative}"]
        return lines


Metric = Counter | StringGauge | Histogram


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """The limits of monitoring::Buckets::Exponential."""
    return [scale * growth**i for i in range(count)]


def _label_text(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = zip(names, values, strict=True)
    return ",".join(
        '{}="{}"'.format(re.sub(r"[^a-zA-Z0-9]", "_", name), value.replace("\\", r"\\").replace('"', r"\""))
        for name, value in pairs
    )
