import json

import numpy as np
import pytest

from serving.errors import InvalidInput
from serving.gateway.instances import accept_instances, accept_text, check_batch, read_instances
from serving.gateway.pixel_text import LEAST_BYTES
from serving.gateway.raw_tensors import RawTensor, TensorBatch
from tests.fakes import house_contract, picture_contract, with_raw_signature


@pytest.mark.parametrize(
    ("instances", "detail"),
    [
        (None, "expected an array of instances, got null"),
        ({}, "expected an array of instances, got an object"),
        ("x", "expected an array of instances, got a string"),
        ([], "expected at least one instance, got an empty array"),
        ([1, 2, 3], "expected at most 2 instances in one request, got 3"),
    ],
)
def test_refuses_what_is_no_batch(instances, detail):
    with pytest.raises(InvalidInput) as caught:
        check_batch(instances, max_instances=2)

    assert [("/instances", detail)] == [(v.pointer, v.detail) for v in caught.value.violations]


def test_the_contract_decides_how_an_instance_is_read():
    assert {n: t.shape for n, t in read_instances(picture_contract(), [[0] * 6]).items()} == {"pixels": (1, 2, 3)}
    assert {n: t.shape for n, t in read_instances(house_contract(), [[3, 4]]).items()} == {"features": (1, 2)}


def test_pixels_are_sent_as_they_are_whatever_they_came_as_where_a_signature_takes_them_so():
    contract = with_raw_signature(picture_contract())
    images = np.resize(np.arange(256, dtype=np.uint8), (LEAST_BYTES // 6, 2, 3))
    lists, blocks = images.tolist(), [image.tobytes() for image in images]
    tensors = TensorBatch((RawTensor("pixels", "INT64", images.shape, images.astype("<i8").tobytes()),))
    ways = [
        *(read_instances(contract, instances) for instances in (lists, blocks, tensors)),
        *(accept_instances(contract, instances, no_booleans=True) for instances in (lists, blocks)),
        accept_text(contract, json.dumps({"instances": lists}).encode(), len(images)),
    ]

    for sent in ways:
        assert sent["pixels"].dtype == np.uint8
        np.testing.assert_array_equal(images, sent["pixels"])
