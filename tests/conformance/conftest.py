"""One suite for every server that says it is TensorFlow Serving.

Ours is started here. To hold another one to the same rows, write the models with
`python -m tests.conformance.models DIR`, serve them as `DIR/models.config` says, with the flags that are given below,
and set CONFORMANCE_GRPC and CONFORMANCE_REST to its addresses.
"""

import os
from collections.abc import Iterator

import pytest

from tests.conformance.models import write_models
from tests.model_server_process import ModelServerClient, ModelServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServerClient]:
    """A server of the tiny models, under their names."""
    if "CONFORMANCE_GRPC" in os.environ:
        client = ModelServerClient(os.environ["CONFORMANCE_GRPC"], os.environ["CONFORMANCE_REST"])
        yield client
        client.close()
        return
    store = tmp_path_factory.mktemp("conformance")
    config = write_models(store)
    process = ModelServerProcess(
        store / "log",
        f"--model_config_file={config}",
        "--allow_version_labels_for_unavailable_models",
        "--rest_api_timeout_in_ms=2000",
        "--prefer_tflite_model",
    )
    try:
        yield process.wait_until_ready().client
    finally:
        process.kill()
