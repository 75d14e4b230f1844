"""Publishes a small model that nobody has seen before: two features, no place, no interval."""

from datetime import UTC, datetime
from pathlib import Path

from tests.training_data import config, houses


def publish_houses(store: Path) -> None:
    """Train `houses` in a second, and publish it."""
    import keras

    from training.describe import describe
    from training.evaluate import evaluate
    from training.export import export
    from training.fit import fit
    from training.models import build_model, predict
    from training.store import publish
    from training.verify import verify

    dataset, settings = houses(), config()
    keras.utils.set_random_seed(1)  # no more: determinism would last, and model servers in this process refuse it
    model = build_model(settings, dataset)
    fit(model, dataset, settings)
    evaluation = evaluate(dataset, predict(model, dataset, dataset.test))
    contract = describe(model, dataset, settings, seed=1, evaluation=evaluation, now=datetime.now(UTC))
    publish(store / dataset.name, lambda folder: export(model, contract, folder), verify)
