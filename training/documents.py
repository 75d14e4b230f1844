"""What lies beside a version's contract for people and tools, by file name."""

from collections.abc import Mapping

from training.card import model_card
from training.findings import to_json
from training.report.page import report
from training.trained import TrainedModel


def documents(trained: TrainedModel) -> Mapping[str, str]:
    """The documents of one version, as text."""
    return {
        "evaluation.json": to_json(trained.findings),
        "report.html": report(trained),
        "model_card.md": model_card(trained),
    }
