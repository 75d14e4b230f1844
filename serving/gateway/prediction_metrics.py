"""What the models say, as Prometheus sees it: how many of each class, which values, how much out of domain.

A drift of the data shows here first. Labels come from contracts, never from clients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from serving.contract import ClassOutput, ModelContract
from serving.gateway.histograms import observe_all
from serving.gateway.outputs import Outputs

MODEL = ("model", "version")
INSTANCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# A model's unit is its own business: 1, 2, 5 in every decade tells any distribution to a factor of two.
VALUES = (
    *(-1e6, -1e3, -1.0, 0.0),
    *(digit * 10.0**decade for decade in range(-3, 6) for digit in (1, 2, 5)),
    1e6,
)
# Classes beyond these are counted together: a model of ten thousand classes must not make ten thousand series.
MAX_CLASSES = 100
OTHER = "other"
MAX_VERSIONS = 64  # whose series are remembered


class PredictionMetrics:
    """The series of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.instances = Histogram(
            "atelier_request_instances",
            "Instances in one answered request.",
            ("model",),
            buckets=INSTANCES,
            registry=registry,
        )
        self.classes = Counter(
            "atelier_predicted_classes", "Instances by the class predicted.", (*MODEL, "class_name"), registry=registry
        )
        self.values = Histogram(
            "atelier_predicted_value",
            "Values predicted, in the model's own unit.",
            MODEL,
            buckets=VALUES,
            registry=registry,
        )
        self.out_of_domain = Counter(
            "atelier_out_of_domain", "Instances unlike the training data.", MODEL, registry=registry
        )

        self._series = lru_cache(maxsize=MAX_VERSIONS)(self._looked_up)

    def observe(
        self, contract: ModelContract, version: int, outputs: Outputs, sizes: Sequence[int] | None = None
    ) -> None:
        """Count one answered request, or several of these sizes, whose outputs are together."""
        series, of_interest = self._series(contract, version), outputs[contract.output.tensor]  # (instances, width)
        observe_all(series.instances, (len(of_interest),) if sizes is None else sizes)
        if isinstance(contract.output, ClassOutput):
            counts = np.bincount(of_interest.argmax(axis=1))
            for class_id in counts.nonzero()[0].tolist():
                series.of_class(class_id).inc(int(counts[class_id]))
        else:
            observe_all(series.values(), of_interest[:, 0].tolist())
        if contract.domain:
            # As float64, like the answer: a threshold has more digits than a float32.
            are_outside = outputs[contract.domain.tensor].astype(np.float64) > contract.domain.threshold
            series.out_of_domain().inc(int(np.count_nonzero(are_outside)))

    def _looked_up(self, contract: ModelContract, version: int) -> "_Series":
        model = (contract.name, str(version))

        def of_class(class_id: int) -> Counter:
            assert isinstance(contract.output, ClassOutput)  # noqa: S101 (tells mypy what a class means)
            name = contract.output.class_names[class_id] if class_id < MAX_CLASSES else OTHER
            return self.classes.labels(*model, name)

        return _Series(
            instances=self.instances.labels(contract.name),
            of_class=cache(of_class),
            values=cache(lambda: self.values.labels(*model)),
            out_of_domain=cache(lambda: self.out_of_domain.labels(*model)),
        )


@dataclass(frozen=True)
class _Series:
    """One version's: each is looked up, and with that made, when there is something to count."""

    instances: Histogram
    of_class: Callable[[int], Counter]
    values: Callable[[], Histogram]
    out_of_domain: Callable[[], Counter]
