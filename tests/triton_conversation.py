"""Asks a gateway everything through Triton's client, and prints what that understood: `… (http|grpc) HOST:PORT`.

A process of its own: the client's messages have the names of the gateway's own, and one process cannot hold both.
"""

import importlib
import json
import sys
from typing import Any

import numpy as np
from tritonclient.utils import InferenceServerException

LEFT, RIGHT = [9, 0, 0, 255, 0, 0], [0, 0, 255, 0, 0, 0]
PICTURES = np.array([LEFT, RIGHT], np.uint8).reshape(2, 2, 3)
HOUSE = np.array([[3, 4]], np.float32)


class Conversation:
    """Both of Triton's clients have the same methods, but for a few options."""

    def __init__(self, transport: str, address: str) -> None:
        self.triton = importlib.import_module(f"tritonclient.{transport}")
        self.client = self.triton.InferenceServerClient(address)
        self.as_json = {"as_json": True} if transport == "grpc" else {}
        self.in_text = {"binary_data": False} if transport == "http" else {}

    def infer(self, model: str, tensor: str, array: Any, outputs: Any = None, **options: Any) -> Any:
        as_text = options.pop("as_text", False)
        given = self.triton.InferInput(tensor, list(array.shape), options.pop("datatype"))
        given.set_data_from_numpy(array, **(self.in_text if as_text else {}))
        wanted = outputs and [self.triton.InferRequestedOutput(o, **(self.in_text if as_text else {})) for o in outputs]
        return self.client.infer(model, [given], outputs=wanted, **options)

    def refusal(self, ask: Any) -> list[str]:
        """The status and the message of a call that must fail."""
        try:
            ask()
        except InferenceServerException as error:
            return [str(error.status()), str(error.message())]
        raise AssertionError("answered")


def talk(transport: str, address: str) -> dict[str, Any]:
    """Everything that was asked, and the answers."""
    it = Conversation(transport, address)
    both = it.infer("pictures", "pixels", PICTURES, datatype="UINT8", request_id="42")
    one = it.infer("pictures", "pixels", PICTURES, ["probabilities"], datatype="UINT8", model_version="1", as_text=True)
    house = it.infer("houses", "features", HOUSE, datatype="FP32")
    response = both.get_response(**it.as_json)
    return {
        "live": it.client.is_server_live(),
        "ready": it.client.is_server_ready(),
        "model ready": [
            it.client.is_model_ready(m, v) for m, v in (("pictures", ""), ("houses", "1"), ("loading", ""))
        ],
        "server": it.client.get_server_metadata(**it.as_json),
        "pictures": it.client.get_model_metadata("pictures", **it.as_json),
        "houses": it.client.get_model_metadata("houses", "1", **it.as_json),
        "who": [response["model_name"], response["model_version"], response["id"]],
        "probabilities": both.as_numpy("probabilities").tolist(),
        "mean": both.as_numpy("mean").tolist(),
        "one output": [o["name"] for o in one.get_response(**it.as_json)["outputs"]],
        "the same in text": one.as_numpy("probabilities").tolist(),
        "value": {name: house.as_numpy(name).tolist() for name in ("value", "low", "high", "largest")},
        "scaled pixels": it.refusal(
            lambda: it.infer("pictures", "pixels", PICTURES.astype(np.float32) / 255, datatype="FP32")
        ),
        "unknown model": it.refusal(lambda: it.infer("cars", "pixels", PICTURES, datatype="UINT8")),
        "unknown version": it.refusal(
            lambda: it.infer("pictures", "pixels", PICTURES, datatype="UINT8", model_version="7")
        ),
        "loading": it.refusal(lambda: it.infer("loading", "pixels", PICTURES, datatype="UINT8")),
    }


if __name__ == "__main__":
    print(json.dumps(talk(*sys.argv[1:])))
