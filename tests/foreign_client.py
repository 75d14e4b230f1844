"""Runs client programs that nobody here wrote, each in an environment of its own: what they need clashes with ours.

An environment is built once, with uv, in the user's cache folder under a key made of its requirements. Where the
package index cannot be reached, the test is skipped and says so.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

_BUILD_TIMEOUT_S = 240.0
_RUN_TIMEOUT_S = 120.0
# uv's words for a network that is not there; any other failure is one of the requirements, and fails the test
_UNREACHABLE = re.compile(r"error sending request|failed to (fetch|connect)|dns error|network|timed out|offline", re.I)


def run_in_environment(
    requirements: Sequence[str], script: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> Any:
    """Run a script where only the requirements are installed; return the JSON that it prints."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [_python_with(requirements), script, *arguments],
        env={**variables, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=_RUN_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _python_with(requirements: Sequence[str]) -> Path:
    """The interpreter of an environment, built if it is not there yet."""
    key = hashlib.sha256("\n".join([sys.version, *sorted(requirements)]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atelier" / "foreign-clients"
    environment = cache / key
    if not environment.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            built = Path(scratch) / "environment"
            _build(built, requirements)
            try:
                built.rename(environment)  # whole or not at all
            except OSError:
                assert environment.exists()  # another run was quicker
    return environment / "bin" / "python"


def _build(environment: Path, requirements: Sequence[str]) -> None:
    uv = Path(sys.executable).with_name("uv")
    commands = (
        [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, environment],
        [uv, "pip", "install", "--quiet", "--python", environment, *requirements],
    )
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"the package index did not give {', '.join(requirements)} within {_BUILD_TIMEOUT_S:g} s")
        if done.returncode and _UNREACHABLE.search(done.stderr):
            pytest.skip(f"the package index cannot be reached for {', '.join(requirements)}: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
