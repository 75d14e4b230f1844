"""Client programs that nobody here wrote, from the package index, work unchanged."""

from pathlib import Path

import pytest

from tests.foreign_client import run_in_environment
from tests.model_server_process import ModelServerClient

CLIENTS = Path(__file__).parent / "clients"


@pytest.mark.timeout(400)
def test_openvinos_client_works_through_both_doors(server: ModelServerClient) -> None:
    seen = run_in_environment(
        ["ovmsclient==2023.1"], CLIENTS / "with_ovmsclient.py", server.grpc_address, server.rest_address
    )
    assert seen["grpc"].pop("metadata")["inputs"] == {"x": {"shape": [-1], "dtype": "DT_FLOAT"}}
    # Over HTTP it understands only OpenVINO's spelling of the reply, and hands TensorFlow Serving's through.
    assert seen["http"].pop("metadata")["model_spec"]["name"] == "half_plus_two"
    for door in seen.values():
        assert "Could not find version 1 of model nobody" in door.pop("unknown")
        assert door == {
            "status": {"2": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}},
            "one_output": [2.5, 3.0, 4.5],
            "older_version": [3.0],
            "two_outputs": {"sum": [4.0], "diff": [2.0]},
            "integers": [42],
        }


@pytest.mark.timeout(400)
def test_the_client_without_tensorflow_works(server: ModelServerClient) -> None:
    """Its messages are of an older protoc, which only an older protobuf takes."""
    seen = run_in_environment(
        ["min-tfs-client==1.0.2", "protobuf==3.20.3"],
        CLIENTS / "with_min_tfs_client.py",
        server.grpc_address,
        environ={"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
    )
    assert seen == {"half": [[2.5, 3.0]], "version": 1, "older": [2, [3.0]], "shout": ["hi!"]}
