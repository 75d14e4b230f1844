"""How good the published models are as a client sees them: every test row is sent to a gateway, and its answers judged.

    ATELIER_STORE=models python -m tests.bench.served_quality [MODEL ...]

Beside each figure stands what the contract promised when the version was published. Sets and intervals are the
answers' own, not made again from thresholds. Prints; asserts nothing.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from serving.client import Client, Prediction
from serving.contract import ClassOutput, ModelContract
from tests.e2e.local_stack import LocalStack
from training.config import DEFAULT_SEED, Folders
from training.datasets import Dataset, load_dataset
from training.estimate import Estimate
from training.evaluate import evaluate
from training.findings import find

BATCH = 500


def main(models: list[str]) -> None:
    """Start a stack on the store, ask it about every test row, print the figures."""
    folders = Folders.from_env()
    stack = LocalStack(Path(folders.store))
    try:
        stack.wait_until_up()
        with stack.client() as client:
            for model in models or [str(listed["name"]) for listed in client.models()["models"]]:
                judge(client, model, folders)
    finally:
        stack.stop()


def judge(client: Client, model: str, folders: Folders) -> None:
    """One model's figures, and of a regressor those of each region."""
    contract = client.contract(model)
    dataset = load_dataset(model, folders.data, 0.1, DEFAULT_SEED, report=lambda _: None)
    dataset = dataclasses.replace(dataset, input=contract.input, output=contract.output, domain=contract.domain)
    rows = dataset.test.instances
    batches = [client.predict(model, rows[start : start + BATCH].tolist()) for start in range(0, len(rows), BATCH)]
    [version] = {batch.version for batch in batches}
    served = [prediction for batch in batches for prediction in batch.predictions]
    answers = tensors(contract, served)
    evaluation = evaluate(dataset, answers)
    print(f"\n{model} version {version}, served: {len(served)} rows of {dataset.test_split}")
    for name, value in evaluation.metrics.items():
        low, high = (evaluation.intervals or {})[name]
        promised = contract.evaluation.metrics[name] if contract.evaluation else float("nan")
        print(f"  {name:<20}{value:8.4f}  ({low:.4f} to {high:.4f})   the contract says {promised:.4f}")
    print(f"  {'coverage, answers':<20}{covered(contract, dataset, served):8.4f}")
    for slice_ in find(dataset, answers, evaluation).slices.get("region", ()):
        print(f"  {slice_.name}: {slice_.rows} rows, {described(slice_.metrics)}")


def tensors(contract: ModelContract, served: list[Prediction]) -> dict[str, Any]:
    """The answers as the model's output tensors, (n, width) each."""
    output = contract.output
    if isinstance(output, ClassOutput):
        found = {output.tensor: [[answer["probabilities"][name] for name in output.class_names] for answer in served]}
    else:
        found = {output.tensor: [[answer["value"]] for answer in served]}
        if interval := output.interval:
            found[interval.low] = [[answer["interval"]["low"]] for answer in served]
            found[interval.high] = [[answer["interval"]["high"]] for answer in served]
    if contract.domain:
        found[contract.domain.tensor] = [[answer["domain_score"]] for answer in served]
    return {name: np.array(values, np.float32) for name, values in found.items()}


def covered(contract: ModelContract, dataset: Dataset, served: list[Prediction]) -> float:
    """In which share of the answers the set or the interval holds the truth."""
    output, targets = contract.output, dataset.test.targets.tolist()
    if isinstance(output, ClassOutput):
        names = output.class_names
        holds = [names[t] in a["prediction_set"]["class_names"] for a, t in zip(served, targets, strict=True)]
    else:
        holds = [a["interval"]["low"] <= t <= a["interval"]["high"] for a, t in zip(served, targets, strict=True)]
    return float(np.mean(holds))


def described(metrics: dict[str, Estimate]) -> str:
    return ", ".join(f"{name} {metrics[name].value:.4f}" for name in ("rmse", "coverage", "mean_interval_width"))


if __name__ == "__main__":
    main(sys.argv[1:])
