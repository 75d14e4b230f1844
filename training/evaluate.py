"""How good answers to the test rows are. Plain numpy: it cannot tell a model in memory from one behind a server."""

from serving.contract import Evaluation
from training.datasets import Dataset
from training.estimate import estimated_metrics
from training.row_figures import Answers, row_figures


def evaluate(dataset: Dataset, answers: Answers) -> Evaluation:
    """The figures of a model's answers to all test rows, in their order, by output tensor: (n, classes) or (n, 1)."""
    found = estimated_metrics(row_figures(dataset, answers))
    return Evaluation(
        split=dataset.test_split,
        rows=len(dataset.test),
        metrics={name: estimate.value for name, estimate in found.items()},
        intervals={name: (estimate.low, estimate.high) for name, estimate in found.items()},
    )
