"""What is asked in the benchmarks: images of the published classifier, in each form in which a client may send them.

The images are the contract's goldens, over and over. Bodies and answers are bytes; nothing here talks to a server.
"""

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from serving import contract
from serving.contract import ModelContract
from serving.gateway.instances import read_instances
from serving.gateway.joined_request import joined_request
from serving.generated.atelier.modelserver.v1 import model_server_pb2
from serving.generated.atelier.prediction.v1 import prediction_pb2

HTTP_PATH = "/v1/models/fashion:classify"
CLASSIFY = "/atelier.prediction.v1.PredictionService/Classify"
CASES = (
    *("json 1", "json 32", "octets 1", "octets 32", "png 1"),
    *("grpc 1", "grpc 1 shared", "grpc 32", "predict 1", "predict 32"),
)
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@dataclass(frozen=True)
class Case:
    """One request."""

    name: str
    rows: int
    body: bytes
    content_type: str = "application/json"
    classes: tuple[int, ...] = ()  # the right answer to a body in HTTP, one a row
    shares: bool = False  # all callers have one connection, as those of one gRPC channel; else each its own

    @property
    def answer_bytes(self) -> int:
        """About the size of our answer over HTTP, which the floor's constant has."""
        return 120 + 420 * self.rows

    @property
    def is_json(self) -> bool:
        return self.content_type == "application/json"

    @property
    def is_grpc(self) -> bool:
        return self.content_type == "application/grpc"


def cases(version: Path) -> dict[str, Case]:
    """All of them, by name."""
    served = contract.from_json((version / "assets.extra" / "contract.json").read_text())
    made = [
        *(Case(f"json {n}", n, json_of(pixels(served, n)), classes=classes(served, n)) for n in (1, 32)),
        *(Case(f"octets {n}", n, pixels(served, n).tobytes(), "application/octet-stream") for n in (1, 32)),
        Case("png 1", 1, png_of(pixels(served, 1)[0]), "image/png"),
        *(grpc_case(f"grpc {n}", n, classify_request, served) for n in (1, 32)),
        *(grpc_case(f"predict {n}", n, predict_request, served) for n in (1, 32)),
    ]
    by_name = {case.name: case for case in made}
    by_name["grpc 1 shared"] = replace(by_name["grpc 1"], name="grpc 1 shared", shares=True)
    return {name: by_name[name] for name in CASES}


def pixels(served: ModelContract, rows: int) -> np.ndarray:
    """uint8, (rows, 28, 28)."""
    goldens = itertools.islice(itertools.cycle(served.goldens), rows)
    return np.array([golden.instance for golden in goldens], np.uint8)


def classes(served: ModelContract, rows: int) -> tuple[int, ...]:
    """What the trained model said of them."""
    answers = [golden.answer[served.output.tensor] for golden in served.goldens]
    return tuple(answer.index(max(answer)) for answer in itertools.islice(itertools.cycle(answers), rows))


def json_of(images: np.ndarray) -> bytes:
    """As JSON.stringify writes it: no spaces."""
    return json.dumps({"instances": images.tolist()}, separators=(",", ":")).encode()


def png_of(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Picture.fromarray(image).save(file, "PNG")
    return file.getvalue()


def grpc_case(name: str, rows: int, make: Callable[[ModelContract, np.ndarray], bytes], served: ModelContract) -> Case:
    """A message in gRPC's frame: not compressed, four bytes of length."""
    message = make(served, pixels(served, rows))
    return Case(name, rows, b"\0" + len(message).to_bytes(4, "big") + message, "application/grpc")


def classify_request(served: ModelContract, images: np.ndarray) -> bytes:
    request = prediction_pb2.ClassifyRequest(model=served.name)
    for image in images:
        request.instances.add().image.pixels = image.tobytes()
    return request.SerializeToString()


def predict_request(served: ModelContract, images: np.ndarray) -> bytes:
    """What the gateway sends to the model server, but for the version."""
    spec = model_server_pb2.ModelSpec(name=served.name, signature_name=served.signature)
    return joined_request(spec, [read_instances(served, images.tolist())])
