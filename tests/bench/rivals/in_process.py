"""The model in the web server's own process, as one would write it: load, scale, predict, describe."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

# Workers share the cores: with one thread each, 32 images take half the processor time, and one image takes as much.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


class Classifier:
    """A published version, in this process."""

    def __init__(self, path: Path) -> None:
        self._contract = json.loads((path / "assets.extra" / "contract.json").read_text())
        self._names = self._contract["output"]["class_names"]
        self._loaded = tf.saved_model.load(str(path))  # the function below lives as long as this does
        self._predict = self._loaded.signatures["serving_default"]
        self.classify([np.zeros((28, 28), int).tolist()])  # trace now, not in the first request

    @classmethod
    def from_env(cls) -> "Classifier":
        return cls(Path(os.environ["BENCH_MODEL"]))

    def classify(self, instances: list[Any]) -> dict[str, Any]:
        """The answer to one request: one call of the model."""
        pixels = np.array(instances, np.float32) * np.float32(self._contract["input"]["scale"])
        outputs = self._predict(pixels=tf.constant(pixels))
        probabilities, scores = outputs["probabilities"].numpy(), outputs["domain_score"].numpy()
        rows = zip(probabilities.tolist(), scores[:, 0].tolist(), strict=True)
        model = {"name": self._contract["name"], "version": "1", "digest": self._contract["digest"]}
        return {"model": model, "predictions": [self._describe(row, score) for row, score in rows]}

    def _describe(self, row: list[float], score: float) -> dict[str, Any]:
        best = row.index(max(row))
        prediction_set, domain = self._contract["output"]["prediction_set"], self._contract["domain"]
        inside = [name for name, p in zip(self._names, row, strict=True) if p >= 1 - prediction_set["threshold"]]
        return {
            "class_name": self._names[best],
            "class_id": best,
            "probability": row[best],
            "probabilities": dict(zip(self._names, row, strict=True)),
            "prediction_set": {"level": prediction_set["level"], "class_names": inside or [self._names[best]]},
            "in_domain": score <= domain["threshold"],
            "domain_score": score,
        }
