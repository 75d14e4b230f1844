import pytest

from training.config import TrainingConfig
from training.errors import ConfigError
from training.presets import PRESET_NAMES, PRESETS, resolve


def test_every_model_has_every_preset() -> None:
    for presets in PRESETS.values():
        assert tuple(presets)[:3] == PRESET_NAMES


def test_what_a_configuration_does_not_name_is_switched_off() -> None:
    config = TrainingConfig(model="mlp", hidden_units=(3,), gate=0.5)
    off = (config.dropout, config.l1, config.l2, config.max_norm, config.clip_norm, config.clip_value, config.shift)
    assert off == (0,) * 7
    assert not any((config.batch_norm, config.flip, config.frozen, config.warm_start, config.mc_samples))


def test_settings_override_the_preset_in_the_type_of_their_field() -> None:
    config = resolve("fashion", "quick", ["epochs=3", "learning_rate=1e-4", "hidden_units=30,20", "optimizer=sgd"])
    assert (config.epochs, config.learning_rate) == (3, 1e-4)
    assert (config.hidden_units, config.optimizer) == ((30, 20), "sgd")
    assert config.batch_size == PRESETS["fashion"]["quick"].batch_size


def test_a_setting_with_a_model_s_name_leaves_the_others_alone() -> None:
    settings = ["fashion.epochs=3"]
    assert resolve("fashion", "quick", settings).epochs == 3
    assert resolve("housing", "quick", settings) == PRESETS["housing"]["quick"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epochs", "expected key=value"),
        ("epochz=3", "unknown key 'epochz'"),
        ("shoes.epochs=3", "unknown model 'shoes'"),
        ("epochs=3.5", "epochs must be a whole number, got '3.5'"),
        ("learning_rate=fast", "learning_rate must be a number, got 'fast'"),
        ("hidden_units=30,wide", "hidden_units must be a whole number, or several with commas between"),
        ("epochs=0", "epochs must be a number above 0, got 0"),
        ("learning_rate=nan", "learning_rate must be a number above 0, got nan"),
        ("learning_rate=inf", "learning_rate must be a number above 0, got inf"),
        ("validation_share=1", "validation_share must be between 0 and 1, got 1.0"),
        ("calibration_share=0.95", "calibration_share must be from 0 to what validation leaves, got 0.95"),
        ("dropout=1", "dropout must be at least 0 and less than 1, got 1.0"),
        ("clip_norm=-1", "clip_norm must be a number from 0 up, got -1.0"),
        ("batch_norm=yes", "batch_norm must be true or false, got 'yes'"),
        ("initializer=zeros", "initializer must be one of glorot_uniform"),
        ("level=1", "level must be between 0 and 1, got 1.0"),
        ("hidden_units=0", "hidden_units must be one or more widths above 0"),
        ("optimizer=magic", "optimizer must be one of"),
        (
            "schedule=never",
            "schedule must be one of constant, cosine, power, exponential, piecewise, plateau, 1cycle, got 'never'",
        ),
        ("shift=-1", "shift must be a number from 0 up, got -1"),
        ("label_smoothing=1", "label_smoothing must be at least 0 and less than 1, got 1.0"),
        ("mc_samples=8", "mc_samples needs dropout above 0"),
        ("gate=nan", "gate must be a finite number, got nan"),
        ("confidence=1", "confidence must be at least 0 and less than 1, got 1.0"),
        ("convolutions=0", "convolutions must be a number above 0, got 0"),
    ],
)
def test_names_a_setting_it_cannot_use(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$") as refused:
        resolve("fashion", "quick", [setting])
    assert words in str(refused.value)


def test_a_plateau_needs_patience() -> None:
    with pytest.raises(ConfigError, match="schedule plateau needs patience above 0"):
        resolve("fashion", "quick", ["schedule=plateau", "patience=0"])


def test_a_wrong_setting_of_another_model_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"fashion\.epochs=x"):
        resolve("housing", "quick", ["fashion.epochs=x"])


def test_an_architecture_s_preset_belongs_to_its_model() -> None:
    assert resolve("fashion", "deep_mlp").model == "deep_mlp"
    with pytest.raises(
        ConfigError, match="housing has no preset 'deep_mlp'; there are quick, default, best, wide_deep"
    ):
        resolve("housing", "deep_mlp")


def test_layers_to_freeze_are_named_with_commas_between() -> None:
    assert resolve("fashion", "mlp", ["frozen=hidden_1,hidden_2"]).frozen == ("hidden_1", "hidden_2")
