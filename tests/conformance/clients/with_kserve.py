"""What KServe's clients make of a gateway: `with_kserve.py URL GRPC_ADDRESS` prints it as JSON."""

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

PICTURES = np.array([[9, 0, 0, 255, 0, 0], [0, 0, 255, 0, 0, 0]], np.uint8).reshape(2, 2, 3)
HOUSE, NO_HOUSE = np.array([[3, 4]], np.float32), np.array([[3, np.nan]], np.float32)


def request(model: str, tensor: str, array: Any, datatype: str, *, binary: bool = True) -> InferRequest:
    given = InferInput(tensor, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[given], request_id="42")


def seen(response: Any) -> dict[str, Any]:
    tensors = {output.name: output.as_numpy().tolist() for output in response.outputs}
    return {"id": response.id, "model": response.model_name, "tensors": tensors}


async def over_http(url: str) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def infer(*about: Any, **options: Any) -> Any:
        return await client.infer(url, request(*about, **options), model_name=about[0])

    try:
        await infer("houses", "features", NO_HOUSE, "FP32")
        refusal = "answered"
    except httpx.HTTPStatusError as error:
        refusal = str(error)
    return {
        "live": await client.is_server_live(url),
        "models": [await client.is_model_ready(url, model) for model in ("pictures", "loading")],
        "pictures": seen(await infer("pictures", "pixels", PICTURES, "UINT8")),
        "the same in text": seen(await infer("pictures", "pixels", PICTURES, "UINT8", binary=False)),
        "house": seen(await infer("houses", "features", HOUSE, "FP32")),
        "refusal": refusal,
    }


async def over_grpc(address: str) -> dict[str, Any]:
    client = InferenceGRPCClient(address)

    async def infer(*about: Any, **options: Any) -> Any:
        return await client.infer(request(*about, **options))

    try:
        await infer("houses", "features", NO_HOUSE, "FP32")
        refusal = "answered"
    except grpc.RpcError as error:
        refusal = str(error.details())
    return {
        "live": await client.is_server_live(),
        "models": [await client.is_model_ready(model) for model in ("pictures", "loading")],
        "pictures": seen(await infer("pictures", "pixels", PICTURES, "UINT8")),
        "the same in text": seen(await infer("pictures", "pixels", PICTURES, "UINT8", binary=False)),
        "house": seen(await infer("houses", "features", HOUSE, "FP32")),
        "refusal": refusal,
    }


url, address = sys.argv[1:]
json.dump({"http": asyncio.run(over_http(url)), "grpc": asyncio.run(over_grpc(address))}, sys.stdout)
