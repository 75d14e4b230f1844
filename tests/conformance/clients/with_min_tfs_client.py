"""What min-tfs-client makes of a server: `with_min_tfs_client.py GRPC_ADDRESS` prints it as JSON."""

import json
import sys

import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

host, port = sys.argv[1].rsplit(":", 1)
client = TensorServingClient(host=host, port=int(port))
half = client.predict_request("half_plus_two", {"x": np.array([[1.0, 2.0]], np.float32)})
older = client.predict_request("two_versions", {"x": np.array([2.0], np.float32)}, model_version=2)
shout = client.predict_request("shout", {"s": np.array(["hi"])})
json.dump(
    {
        "half": tensor_proto_to_ndarray(half.outputs["y"]).tolist(),
        "version": half.model_spec.version.value,
        "older": [older.model_spec.version.value, tensor_proto_to_ndarray(older.outputs["y"]).tolist()],
        "shout": [value.decode() for value in shout.outputs["loud"].string_val],
    },
    sys.stdout,
)
