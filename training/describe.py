"""Writes the contract of a trained model: what it takes, what it gives, how good it is and where it came from."""

import dataclasses
import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from serving.contract import Document, Evaluation, ModelContract, Provenance
from training.config import TrainingConfig
from training.datasets import Dataset
from training.digest import digest_of, model_weights
from training.goldens import make_goldens, pick_rows
from training.models import Model, predict
from training.raw_pixels import with_raw_signature

# Largest difference from a golden answer that other hardware may show: four times the worst that TensorFloat-32 (a
# GPU's matrix products on 10-bit mantissas, TensorFlow's default there) did to any test row when simulated in numpy:
# 0.0012 in a probability, 0.0052 in a value of 100k USD. A wrong scale or order of features is off by far more.
GOLDEN_TOLERANCE = {"classification": 0.005, "regression": 0.02}


def describe(
    model: Model,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    seed: int,
    evaluation: Evaluation,
    now: datetime,
    documents: Iterable[Document] = (),
) -> ModelContract:
    """The contract of a model that was just trained and evaluated, digest included; documents it will come with."""
    golden_rows = pick_rows(dataset)
    contract = ModelContract(
        name=dataset.name,
        task=dataset.task,
        description=dataset.description,
        digest="",
        input=with_raw_signature(dataset.input),
        output=dataset.output,
        domain=dataset.domain,
        documents=tuple(documents) or None,
        goldens=make_goldens(dataset, golden_rows, predict(model, dataset, golden_rows)),
        golden_tolerance=GOLDEN_TOLERANCE[dataset.task],
        evaluation=evaluation,
        provenance=Provenance(
            created=now.isoformat(timespec="seconds"),
            data_source=dataset.source,
            data_digest=dataset.digest,
            seed=seed,
            config=dataclasses.asdict(config),
            source_revision=source_revision(Path(__file__).parent),
            library_versions=library_versions(),
        ),
    )
    return dataclasses.replace(contract, digest=digest_of(model_weights(model), contract))


def source_revision(folder: Path) -> str:
    """The git commit of the folder, "-dirty" when its files differ from it; else what an image's build wrote down."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit}-dirty" if _git(folder, "status", "--porcelain", ".") else commit
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository: an image, a tarball
        written = folder / "REVISION"
        return written.read_text().strip() if written.is_file() else "unknown"


def library_versions() -> dict[str, str]:
    """The versions that decide what comes out of a seed."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _git(folder: Path, *arguments: str) -> str:
    process = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return process.stdout.strip()
