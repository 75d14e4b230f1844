"""What the gateway makes of a label, at every server that says it is TensorFlow Serving."""

from collections.abc import Iterator

import pytest

from serving.gateway.model_server import UnknownLabel, VersionGone
from serving.gateway.model_server_client import GrpcModelServer
from tests.model_server_process import ModelServerClient


@pytest.fixture
def gateways_client(server: ModelServerClient) -> Iterator[GrpcModelServer]:
    client = GrpcModelServer(server.grpc_address, lambda *_: None)
    yield client
    client.close()


def test_the_version_that_bears_a_label_is_told(gateways_client: GrpcModelServer) -> None:
    assert gateways_client.labelled("two_versions", "stable", 60) == 2


def test_a_label_that_nothing_bears_is_told_apart_from_one_whose_version_is_gone(
    gateways_client: GrpcModelServer,
) -> None:
    with pytest.raises(UnknownLabel):
        gateways_client.labelled("two_versions", "canary", 60)
    with pytest.raises(VersionGone):
        gateways_client.labelled("two_versions", "gone", 60)
