"""All that is known of a model when it is about to be published: what report and card are written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.contract import ModelContract
from training.datasets import Dataset
from training.findings import Findings
from training.row_figures import Answers


@dataclass(frozen=True)
class TrainedModel:
    """The promise, and what stands behind it."""

    contract: ModelContract
    dataset: Dataset
    history: Mapping[str, Sequence[float]]  # figures of each epoch
    answers: Answers  # to the test rows
    findings: Findings

    @property
    def kept_epoch(self) -> int:
        """From 1: the one whose weights the model has. Without patience the last, else the best by validation loss."""
        losses = self.history["val_loss"]
        if not self.contract.provenance.config["patience"]:
            return len(losses)
        return min(range(len(losses)), key=losses.__getitem__) + 1
