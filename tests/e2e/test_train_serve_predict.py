"""The main job, end to end: train on the real data, publish, serve, predict over HTTP and gRPC."""

import json
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.generated.atelier.prediction.v1 import prediction_pb2 as messages
from tests.e2e.local_stack import LocalStack
from training.config import Folders
from training.datasets import load_dataset

BATCH = 500


def test_serves_the_fashion_accuracy_that_its_metadata_states(stack: LocalStack) -> None:
    test = load_dataset("fashion", Folders.from_env().data, validation_share=0.1, seed=0, report=print).test
    right = 0
    with stack.client() as client:
        contract = client.contract("fashion")
        classes = {name: i for i, name in enumerate(contract.output.class_names)}
        for start in range(0, len(test.instances), BATCH):
            answer = client.predict("fashion", test.instances[start : start + BATCH].tolist())
            predicted = [classes[prediction["class_name"]] for prediction in answer.predictions]
            right += int(np.sum(np.array(predicted) == test.targets[start : start + BATCH]))
    assert len(test.instances) == contract.evaluation.rows == 10_000
    assert right / 10_000 == pytest.approx(contract.evaluation.metrics["accuracy"], abs=1e-9)
    assert right / 10_000 >= 0.87


def test_serves_the_housing_error_that_its_metadata_states(stack: LocalStack) -> None:
    test = load_dataset("housing", Folders.from_env().data, validation_share=0.2, seed=0, report=print).test
    with stack.client() as client:
        contract = client.contract("housing")
        answers = [
            client.predict("housing", test.instances[start : start + BATCH].tolist())
            for start in range(0, len(test), BATCH)
        ]
    values = np.array([prediction["value"] for answer in answers for prediction in answer.predictions])
    rmse = float(np.sqrt(np.mean((values - test.targets) ** 2)))
    assert len(test) == contract.evaluation.rows == 4_128
    assert rmse == pytest.approx(contract.evaluation.metrics["rmse"], abs=1e-5)
    assert rmse <= 0.62


def test_every_golden_gets_its_recorded_answer_over_http(stack: LocalStack) -> None:
    with stack.client() as client:
        for model, key in (("fashion", "probabilities"), ("housing", "value")):
            contract = client.contract(model)
            answer = client.predict(model, [golden.instance for golden in contract.goldens])
            for golden, prediction in zip(contract.goldens, answer.predictions, strict=True):
                served = prediction[key]
                got = list(served.values()) if isinstance(served, dict) else [served]
                assert got == pytest.approx(golden.answer[contract.output.tensor], abs=contract.golden_tolerance)
            assert answer.digest == contract.digest


def test_both_doors_give_the_same_answer(stack: LocalStack) -> None:
    with stack.client() as client, grpc.insecure_channel(f"127.0.0.1:{stack.grpc_port}") as channel:
        image = client.contract("fashion").goldens[0].instance
        over_http = client.predict("fashion", [image])
        classify = channel.unary_unary(
            "/atelier.prediction.v1.PredictionService/Classify",
            request_serializer=messages.ClassifyRequest.SerializeToString,
            response_deserializer=messages.ClassifyResponse.FromString,
        )
        pixels = messages.Image(pixels=np.array(image, np.uint8).tobytes())
        over_grpc = classify(messages.ClassifyRequest(model="fashion", instances=[messages.Instance(image=pixels)]))

    assert over_grpc.model.digest == over_http.digest
    served, told = over_grpc.predictions[0], over_http.predictions[0]
    assert served.class_name == told["class_name"]
    assert served.probability == pytest.approx(told["probability"], abs=1e-6)
    assert list(served.prediction_set.class_names) == told["prediction_set"]["class_names"]
    assert served.in_domain is told["in_domain"] is True


def test_a_picture_gets_the_answer_that_its_pixels_get(stack: LocalStack) -> None:
    examples = Path(__file__).parents[2] / "docs" / "examples"
    pixels = json.loads((examples / "ankle-boot.json").read_text())["instances"]
    picture = urllib.request.Request(
        f"{stack.url}/v1/models/fashion:classify",
        (examples / "ankle-boot.png").read_bytes(),
        {"Content-Type": "image/png"},
    )
    with stack.client() as client, urllib.request.urlopen(picture) as answer:
        assert json.load(answer)["predictions"] == client.predict("fashion", pixels).predictions
