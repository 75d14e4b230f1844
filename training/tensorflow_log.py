"""Keeps TensorFlow's C++ chatter out of the job's output. Errors still come through."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Written before TF_CPP_MIN_LOG_LEVEL takes effect, on every machine without a GPU. Fatal lines begin with F.
_CHATTER = "^(WARNING: All log messages before absl::InitializeLog|[IWE][0-9]{4} )"


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow inside. A TF_CPP_MIN_LOG_LEVEL that the user set keeps everything that it asks for."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its Python half: notes on saving, deprecations of TF1
    # ~/.keras/keras.json may name another backend; a SavedModel needs this one.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # "no GPU here" is an error to TensorFlow, hence not 2
    if level in ("0", "1"):  # information and warnings are wanted
        yield
        return
    # Another process sifts, so that the last words of an import that aborts are not lost.
    sieve = subprocess.Popen(["grep", "-Ev", _CHATTER], stdin=subprocess.PIPE, stdout=sys.stderr)
    assert sieve.stdin is not None  # noqa: S101 (tells mypy what PIPE does)
    stderr = os.dup(2)
    os.dup2(sieve.stdin.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        sieve.stdin.close()
        sieve.wait()
