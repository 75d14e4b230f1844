"""Publishes a copy of a version: publisher.py MODEL_FOLDER VERSION_TO_COPY STEP, and dies by SIGKILL at the step.

A process of its own, without TensorFlow, so that the tests can afford one a step. STEP is one of PUBLISH_STEPS,
`half-written`, or `none`.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from training.store import publish


def main(model: Path, source: Path, fatal: str) -> None:
    """Publish, or die on the way."""

    def step(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("variables"))
        step("half-written")  # what TF Serving would load, and fail: a graph without its weights
        shutil.copytree(source / "variables", folder / "variables")

    def verify(folder: Path) -> None:
        if not (folder / "variables" / "variables.index").is_file():
            raise FileNotFoundError(folder)

    print(publish(model, write, verify, step))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
