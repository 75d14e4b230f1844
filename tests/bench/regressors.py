"""Our default housing model beside LightGBM: the same rows to fit, to stop by and to test, in one run.

python -m tests.bench.regressors
"""

import resource
import time

import lightgbm
import numpy as np

from training.config import DEFAULT_SEED, Folders
from training.datasets import Dataset, load_dataset
from training.fit import fit, make_reproducible
from training.models import build_model, predict
from training.presets import PRESETS

CONFIG = PRESETS["housing"]["default"]


def main() -> None:
    """Fit both, print RMSE and time."""
    dataset = load_dataset(
        "housing",
        Folders.from_env().data,
        CONFIG.validation_share,
        DEFAULT_SEED,
        report=print,
        calibration_share=CONFIG.calibration_share,
    )
    print(f"{len(dataset.train)} rows to fit, {len(dataset.validation)} to stop by, {len(dataset.test)} to test")
    for name, answer in (("LightGBM", with_lightgbm), (f"our {CONFIG.model}", with_ours)):
        started, cpu = time.monotonic(), cpu_s()
        errors = answer(dataset) - dataset.test.targets
        wall = time.monotonic() - started
        print(f"{name}: RMSE {np.sqrt(np.mean(errors**2)):.4f}, {wall:.0f} s, {cpu_s() - cpu:.0f} s of processor time")


def with_lightgbm(dataset: Dataset) -> np.ndarray:
    """Small steps and early stopping, which is most of what tuning gains."""
    settings = {
        "objective": "regression",
        "learning_rate": 0.03,
        "num_leaves": 48,
        "min_data_in_leaf": 10,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "seed": DEFAULT_SEED,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(dataset.train.instances, dataset.train.targets)
    judge = lightgbm.Dataset(dataset.validation.instances, dataset.validation.targets, reference=rows)
    stop = lightgbm.early_stopping(100, verbose=False)
    model = lightgbm.train(settings, rows, num_boost_round=5000, valid_sets=[judge], callbacks=[stop])
    return np.asarray(model.predict(dataset.test.instances))


def with_ours(dataset: Dataset) -> np.ndarray:
    """The default preset, without what calibration adds."""
    make_reproducible(DEFAULT_SEED)
    model = build_model(CONFIG, dataset)
    fit(model, dataset, CONFIG)
    return predict(model, dataset, dataset.test)[dataset.output.tensor][:, 0]


def cpu_s() -> float:
    """Seconds of processor time that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
