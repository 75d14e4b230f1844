"""What lies beside a version's contract for people and tools, by file name."""

from collections.abc import Mapping
from types import MappingProxyType

from serving.contract import Document
from training.card import model_card
from training.findings import to_json
from training.report.page import report
from training.trained import TrainedModel

REPORT_FILE, CARD_FILE = "report.html", "model_card.md"
# Those that the model itself gives to whoever serves it: file name -> what the contract says of it.
SERVED: Mapping[str, Document] = MappingProxyType(
    {
        REPORT_FILE: Document("report", "Report", "text/html"),
        CARD_FILE: Document("card", "Model card", "text/markdown"),
    }
)


def documents(trained: TrainedModel) -> Mapping[str, str]:
    """The documents of one version, as text."""
    return {
        "evaluation.json": to_json(trained.findings),
        REPORT_FILE: report(trained),
        CARD_FILE: model_card(trained),
    }
