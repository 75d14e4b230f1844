"""Publishes a small model that nobody has seen before: two features, no place, no interval."""

from datetime import UTC, datetime
from pathlib import Path

from tests.training_data import config, houses


def publish_houses(store: Path) -> None:
    """Train `houses` in a second, and publish it."""
    from training.describe import describe
    from training.evaluate import evaluate
    from training.export import export
    from training.fit import fit, make_reproducible
    from training.models import build_model, predict
    from training.store import publish
    from training.verify import verify

    dataset, settings = houses(), config()
    make_reproducible(1)
    model = build_model(settings, dataset)
    fit(model, dataset, settings)
    evaluation = evaluate(dataset, predict(model, dataset, dataset.test))
    contract = describe(model, dataset, settings, seed=1, evaluation=evaluation, now=datetime.now(UTC))
    publish(store / dataset.name, lambda folder: export(model, contract, folder), verify)
