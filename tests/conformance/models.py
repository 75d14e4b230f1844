"""The store that the conformance suite expects: `python -m tests.conformance.models DIR` writes it."""

import shutil
import sys
from pathlib import Path

from tests import tiny_models

_MODELS = {
    "half_plus_two": tiny_models.half_plus_two,
    "sum_and_diff": tiny_models.sum_and_diff,
    "shout": tiny_models.shout,
    "next_number": tiny_models.next_number,
    "row_times_two": tiny_models.row_times_two,
    "wait": tiny_models.wait,
    "counter": tiny_models.counter,
    "with space": tiny_models.half_plus_two,
    "half_in_both": tiny_models.half_in_both,
    "shout_in_tflite": tiny_models.shout_in_tflite,
}


def write_models(store: Path) -> Path:
    """Write the models and the ModelServerConfig that serves them; return the latter's path."""
    for name, write in _MODELS.items():
        tiny_models.publish(write, store / name, 1)
    tiny_models.publish(tiny_models.half_plus_three, store / "two_versions", 3)
    tiny_models.publish(tiny_models.half_plus_two, store / "two_versions", 2)
    tiny_models.add_default(
        tiny_models.publish(tiny_models.sum_and_diff, store / "with_default", 1), "serving_default", "b", [1.0]
    )
    shutil.copytree(store / "half_in_both", store / "tflite_with_signature")
    tiny_models.record_signature(store / "tflite_with_signature" / "1", "halve")
    config = store / "models.config"
    entries = [_entry(store, name, "") for name in [*_MODELS, "with_default", "tflite_with_signature"]]
    entries.append(
        _entry(
            store,
            "two_versions",
            'model_version_policy { all {} } version_labels { key: "stable" value: 2 } '
            'version_labels { key: "gone" value: 9 }',
        )
    )
    config.write_text("model_config_list {\n" + "".join(entries) + "}\n")
    return config


def _entry(store: Path, name: str, extra: str) -> str:
    return f'config {{ name: "{name}" base_path: "{store / name}" model_platform: "tensorflow" {extra} }}\n'


if __name__ == "__main__":
    print(write_models(Path(sys.argv[1]).resolve()))
