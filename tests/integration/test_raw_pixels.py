"""Pixels that travel raw: what the graph makes of them is what comes of them scaled before, to the last bit."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import keras
import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.contract import DEFAULT_SIGNATURE, ImageInput, ModelContract
from serving.gateway.http_api import create_app
from serving.gateway.instances import read_instances
from serving.gateway.metrics import Metrics
from serving.gateway.model_server import AVAILABLE, Tensors
from serving.gateway.model_server_client import GrpcModelServer
from serving.gateway.offers import Offers
from serving.gateway.parts import Parts
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings
from serving.gateway.verification import verify as verify_served
from tests.gateway_process import DEADLINE_S, wait_until
from tests.model_server_in_process import ModelServerInProcess
from tests.training_data import CLASS_NAMES, config, pictures
from training.datasets import encode
from training.describe import describe
from training.digest import digest_of, model_weights
from training.errors import BadArtefact
from training.evaluate import evaluate
from training.export import WARMUP_FILE, export
from training.models import build_model, predict
from training.raw_pixels import RAW_SIGNATURE, as_sent, raw_signature, with_raw_signature
from training.store import publish
from training.verify import loaded, verify
from training.warmup import read_warmup

DATASET = pictures()
OLDER, RAW = 1, 2  # versions of the store
IMAGES = np.resize(np.arange(256, dtype=np.uint8), (43, 4, 3))  # every value; the model's answers differ


def beginning_with_a_multiplication() -> Any:
    """Which TensorFlow's optimizer would make one with the scale's, if it could: then it rounds once, not twice."""
    return keras.Sequential(
        [
            keras.Input((4, 3), name="pixels"),
            keras.layers.Rescaling(0.1, offset=-0.05, name="rescaling"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(8, activation="relu", name="hidden"),
            keras.layers.Dense(len(CLASS_NAMES), activation="softmax", name="probabilities"),
        ]
    )


MODELS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: build_model(config(), DATASET),
    "deep_mlp": lambda: build_model(config(model="deep_mlp", hidden_units=(4, 4)), DATASET),
    "cnn": lambda: build_model(config(model="cnn", hidden_units=(4, 8), convolutions=1), DATASET),
    "one that begins with a multiplication": beginning_with_a_multiplication,
}


def made(build: Callable[[], Any]) -> tuple[Any, ModelContract]:
    keras.utils.set_random_seed(1)  # no more: determinism would last, and model servers in this process refuse it
    model = build()
    evaluation = evaluate(DATASET, predict(model, DATASET, DATASET.test))
    return model, describe(model, DATASET, config(), seed=1, evaluation=evaluation, now=datetime.now(UTC))


def without_raw_signature(model: Any, contract: ModelContract) -> ModelContract:
    """As it was written before there was one."""
    older = dataclasses.replace(contract, input=DATASET.input)
    return dataclasses.replace(older, digest=digest_of(model_weights(model), older))


# --- the artefact ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_both_signatures_give_the_same_bits(tmp_path: Path, name: str) -> None:
    model, contract = made(MODELS[name])
    export(model, contract, tmp_path)

    verify(tmp_path)
    with loaded(tmp_path) as run:
        raw = run(contract.signature, as_sent(contract.input, IMAGES))
        scaled = run(DEFAULT_SIGNATURE, encode(contract.input, IMAGES))
    assert contract.signature == RAW_SIGNATURE
    assert {name: tensor.tobytes() for name, tensor in raw.items()} == {n: t.tobytes() for n, t in scaled.items()}
    assert len(np.unique(raw["probabilities"])) > 100


def test_the_warm_up_file_plays_to_both(tmp_path: Path) -> None:
    model, contract = made(MODELS["mlp"])
    export(model, contract, tmp_path)

    requests = read_warmup(tmp_path / WARMUP_FILE)
    assert [
        (signature, tensor.dtype, tensor.shape) for signature, tensors in requests for tensor in tensors.values()
    ] == [
        *((RAW_SIGNATURE, np.uint8, (rows, 4, 3)) for rows in (1, 8, 64)),
        *((DEFAULT_SIGNATURE, np.float32, (rows, 4, 3)) for rows in (1, 8, 64)),
        ("contract", np.int32, (1,)),
    ]


def test_a_raw_signature_that_scales_otherwise_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def brighter(spec: ImageInput, serve: Any) -> Any:
        return raw_signature(dataclasses.replace(spec, scale=spec.scale * 1.1), serve)

    monkeypatch.setattr("training.export.raw_signature", brighter)
    model, contract = made(MODELS["mlp"])
    export(model, contract, tmp_path)

    with pytest.raises(BadArtefact, match=r"golden \d: probabilities of raw_pixels is 0\.\d+ off"):
        verify(tmp_path)


def test_images_whose_values_are_no_bytes_have_none() -> None:
    sixteen_bits = dataclasses.replace(DATASET.input, maximum=65_535)
    assert with_raw_signature(sixteen_bits) == sixteen_bits
    assert with_raw_signature(DATASET.input) == dataclasses.replace(DATASET.input, raw_signature=RAW_SIGNATURE)


# --- through the model server ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions with the same weights; of the older one nobody knew that pixels would travel raw."""
    store = tmp_path_factory.mktemp("store")
    model, contract = made(beginning_with_a_multiplication)
    for one in (without_raw_signature(model, contract), contract):
        publish(store / "pictures", lambda folder, one=one: export(model, one, folder), verify)
    return store


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[GrpcModelServer]:
    models = store / "models.config"
    models.write_text(
        f'model_config_list {{ config {{ name: "pictures" base_path: "{store / "pictures"}" '
        'model_platform: "tensorflow" model_version_policy { all {} } } }'
    )
    server = ModelServerInProcess(store / "log", f"--model_config_file={models}").wait_until_ready()
    client = GrpcModelServer(f"127.0.0.1:{server.port}", lambda *_: None)
    wait_until(lambda: [status.state for status in client.versions("pictures", DEADLINE_S)] == [AVAILABLE] * 2)
    yield client
    client.close()
    server.kill()


@pytest.fixture(scope="module")
def contracts(client: GrpcModelServer) -> tuple[ModelContract, ...]:
    """Of the older version and the other, whose goldens answer through the gateway's own path."""
    return tuple(verify_served(client, "pictures", version, DEADLINE_S).contract for version in (OLDER, RAW))


def started(client: GrpcModelServer, version: int, batches: list[Tensors], signature: str) -> Any:
    """As the lane asks."""
    ended: SimpleQueue[Any] = SimpleQueue()
    client.start_predict("pictures", version, batches, DEADLINE_S, ended.put, signature=signature)
    return ended.get(timeout=DEADLINE_S)


@settings(max_examples=50)
@given(images=st.lists(st.binary(min_size=12, max_size=12), min_size=1, max_size=9))
def test_every_image_gets_the_same_bits_scaled_or_raw(
    client: GrpcModelServer, contracts: tuple[ModelContract, ...], images: list[bytes]
) -> None:
    older, raw = contracts
    scaled, sent = read_instances(older, images), read_instances(raw, images)
    assert (scaled["pixels"].dtype, sent["pixels"].dtype) == (np.float32, np.uint8)

    answers = [
        client.predict("pictures", OLDER, scaled, DEADLINE_S, older.signature),
        client.predict("pictures", RAW, scaled, DEADLINE_S),  # as who calls the model server itself
        client.predict("pictures", RAW, sent, DEADLINE_S, raw.signature),
        started(client, OLDER, [scaled], older.signature),
        started(client, RAW, [sent], raw.signature),
    ]

    assert len({answer["probabilities"].tobytes() for answer in answers}) == 1


@pytest.fixture
def http(client: GrpcModelServer) -> FlaskClient:
    chosen = Settings(("pictures",))
    offers = Offers(chosen.models, client)
    predictor = Predictor(offers, client, chosen.max_instances)
    return create_app(Parts(chosen, client, offers, predictor, Metrics())).test_client()


def test_the_gateway_serves_versions_without_a_raw_signature_beside_those_with_one(http: FlaskClient) -> None:
    octets = {"data": IMAGES.tobytes(), "content_type": "application/octet-stream"}
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": list(IMAGES.shape), "data": IMAGES.ravel().tolist()}

    for asked in ({"json": {"instances": IMAGES.tolist()}}, octets):
        older, raw = (
            http.post(f"/v1/models/pictures/versions/{version}:classify", **asked) for version in (OLDER, RAW)
        )
        assert (older.status_code, raw.status_code) == (200, 200)
        assert older.json["predictions"] == raw.json["predictions"]

    infer = [f"/v2/models/pictures/versions/{version}/infer" for version in (OLDER, RAW)]
    older, raw = (http.post(path, json={"inputs": [tensor]}) for path in infer)
    assert older.json["outputs"] == raw.json["outputs"]
    assert len(raw.json["outputs"][0]["data"]) == len(IMAGES) * len(CLASS_NAMES)
