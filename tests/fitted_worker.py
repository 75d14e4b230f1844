"""Fits the made-up houses under a strategy and prints the weights: fitted_worker.py STRATEGY DEVICES.

A process of its own: a strategy wants TensorFlow untouched. Several of them are a cluster, as TF_CONFIG says.
"""

import json
import sys


def main(strategy_name: str, devices: int) -> None:
    """Fit, print."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    from tests.training_data import config, houses
    from training.fit import fit, make_reproducible
    from training.models import build_model
    from training.strategy import strategy_named

    strategy = strategy_named(strategy_name)
    make_reproducible(1)
    # 32 rows in batches of 16: two workers share each evenly. Plain descent, so that rounding stays rounding.
    settings, dataset = config(batch_norm=True, optimizer="sgd", epochs=3, patience=3), houses(rows=96)
    with strategy.scope():
        model = build_model(settings, dataset)
    fit(model, dataset, settings, strategy=strategy)
    print(json.dumps({weight.path: weight.numpy().tolist() for weight in model.weights}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
