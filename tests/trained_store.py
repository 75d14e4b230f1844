"""A store that the training job itself filled."""

import os
import subprocess
import sys
from pathlib import Path


def train(store: Path, *arguments: str) -> str:
    """Run the training job as a user does; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        env={**os.environ, "ATELIER_STORE": str(store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
