import dataclasses

import pytest

from tests.training_data import houses, trained
from training.trained import TrainedModel


@pytest.mark.parametrize(("patience", "epoch"), [(2, 2), (0, 3)])
def test_with_patience_the_best_epoch_s_weights_are_kept_else_the_last_one_s(patience: int, epoch: int) -> None:
    assert having(patience).kept_epoch == epoch


def having(patience: int) -> TrainedModel:
    """A model whose validation loss was least in the second of three epochs."""
    dataset = houses()
    model = trained(dataset, value=dataset.test.targets[:, None])
    config = {**model.contract.provenance.config, "patience": patience}
    provenance = dataclasses.replace(model.contract.provenance, config=config)
    return dataclasses.replace(model, contract=dataclasses.replace(model.contract, provenance=provenance))
