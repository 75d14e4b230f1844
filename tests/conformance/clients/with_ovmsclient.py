"""What OpenVINO's client makes of a server: `with_ovmsclient.py GRPC_ADDRESS REST_ADDRESS` prints it as JSON."""

import json
import sys
from typing import Any

import numpy as np
import ovmsclient


def through(client: Any) -> dict[str, Any]:
    """The calls that it offers, through one of its two doors.

    Told no version it sends 0, which TensorFlow Serving looks for and does not find; so each call names one.
    """
    try:
        client.get_model_status("nobody", 1)
    except ovmsclient.ModelNotFoundError as error:
        unknown = str(error)
    two = {"a": np.array([3.0], np.float32), "b": np.array([1.0], np.float32)}
    return {
        "status": client.get_model_status("two_versions", 2),
        "metadata": client.get_model_metadata("half_plus_two", 1),
        "one_output": client.predict({"x": np.array([1.0, 2.0, 5.0], np.float32)}, "half_plus_two", 1).tolist(),
        "older_version": client.predict({"x": np.array([2.0], np.float32)}, "two_versions", 2).tolist(),
        "two_outputs": {name: output.tolist() for name, output in client.predict(two, "sum_and_diff", 1).items()},
        "integers": client.predict({"n": np.array([41])}, "next_number", 1).tolist(),
        "unknown": unknown,
    }


grpc_address, rest_address = sys.argv[1:]
json.dump(
    {
        "grpc": through(ovmsclient.make_grpc_client(grpc_address)),
        "http": through(ovmsclient.make_http_client(rest_address)),
    },
    sys.stdout,
)
