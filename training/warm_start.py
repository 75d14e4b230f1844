"""Begins training with the weights of a published version, so that what one network learned another can use."""

from dataclasses import dataclass
from pathlib import Path

from serving.contract import ContractError, ModelContract, Provenance, from_json
from training.config import TrainingConfig
from training.datasets import Dataset
from training.digest import saved_weights, weight_variables
from training.errors import ConfigError
from training.export import CONTRACT_FILE
from training.models import Model

# Runs that agree in these have the same rows to fit: another's could be this one's calibration rows.
_SPLIT = ("validation_share", "calibration_share")


@dataclass(frozen=True)
class Beginning:
    """What a model was given to begin with."""

    digest: str  # of the version that it comes from
    fitting: int  # how many of …
    weights: int  # … the model's weights come from there


def warm_start(model: Model, version: Path, dataset: Dataset, config: TrainingConfig, seed: int) -> Beginning:
    """Give the model every weight of the version that has the same name and shape.

    Raises:
        ConfigError: the version was fitted to rows that this run validates or calibrates with, or no weight fits.
    """
    contract = _contract(version)
    _check_split(version, contract.provenance, dataset, config, seed)
    saved, fitting = saved_weights(version), 0
    own = weight_variables(model)
    for name, variable in own.items():
        if name in saved and saved[name].shape == tuple(variable.shape):
            variable.assign(saved[name])
            fitting += 1
    if not fitting:
        raise ConfigError(f"warm_start: {version} has no weight that fits this model's {', '.join(own)}")
    return Beginning(contract.digest, fitting, len(own))


def _contract(version: Path) -> ModelContract:
    try:
        return from_json((version / CONTRACT_FILE).read_bytes())
    except (OSError, ContractError) as error:
        raise ConfigError(f"warm_start: {version} cannot be read: {error}") from error


def _check_split(version: Path, origin: Provenance, dataset: Dataset, config: TrainingConfig, seed: int) -> None:
    here = {"seed": seed, "data": dataset.digest} | {name: getattr(config, name) for name in _SPLIT}
    there = {"seed": origin.seed, "data": origin.data_digest} | {name: origin.config.get(name) for name in _SPLIT}
    if differing := [name for name in here if here[name] != there[name]]:
        raise ConfigError(
            f"warm_start: {version} was fitted to other rows, some of which this run judges by; "
            f"it must have the same {', '.join(differing)}"
        )
