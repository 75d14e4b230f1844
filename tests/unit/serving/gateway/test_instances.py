import pytest

from serving.errors import InvalidInput
from serving.gateway.instances import check_batch, read_instances
from tests.fakes import house_contract, picture_contract


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
