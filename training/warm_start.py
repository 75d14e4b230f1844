"""Begins training with the weights of a published version, so that what one network learned another can use."""

from pathlib import Path

from serving.contract import ContractError, from_json
from training.config import TrainingConfig
from training.datasets import Dataset
from training.digest import saved_weights, weight_variables
from training.errors import ConfigError
from training.export import CONTRACT_FILE
from training.models import Model

# Runs that agree in these have the same rows to fit: another's could be this one's calibration rows.
_SPLIT = ("validation_share", "calibration_share")


def warm_start(model: Model, version: Path, dataset: Dataset, config: TrainingConfig, seed: int) -> tuple[int, int]:
    """Give the model every weight of the version that has the same name and shape: (how many fit, how many it has).

    Raises:
        ConfigError: the version was fitted to rows that this run validates or calibrates with, or no weight fits.
    """
    _check_split(version, dataset, config, seed)
    saved, fitting = saved_weights(version), 0
    own = weight_variables(model)
    for name, variable in own.items():
        if name in saved and saved[name].shape == tuple(variable.shape):
            variable.assign(saved[name])
            fitting += 1
    if not fitting:
        raise ConfigError(f"warm_start: {version} has no weight that fits this model's {', '.join(own)}")
    return fitting, len(own)


def _check_split(version: Path, dataset: Dataset, config: TrainingConfig, seed: int) -> None:
    try:
        origin = from_json((version / CONTRACT_FILE).read_bytes()).provenance
    except (OSError, ContractError) as error:
        raise ConfigError(f"warm_start: {version} cannot be read: {error}") from error
    here = {"seed": seed, "data": dataset.digest} | {name: getattr(config, name) for name in _SPLIT}
    there = {"seed": origin.seed, "data": origin.data_digest} | {name: origin.config.get(name) for name in _SPLIT}
    if differing := [name for name in here if here[name] != there[name]]:
        raise ConfigError(
            f"warm_start: {version} was fitted to other rows, some of which this run judges by; "
            f"it must have the same {', '.join(differing)}"
        )
