"""What lies beside a version's contract for people and tools, by file name."""

from collections.abc import Mapping

from training.findings import Findings, to_json

EVALUATION_FILE = "evaluation.json"


def documents(findings: Findings) -> Mapping[str, str]:
    """The documents of one version, as text."""
    return {EVALUATION_FILE: to_json(findings)}
