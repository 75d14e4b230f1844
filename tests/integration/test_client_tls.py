"""The client over https:// and grpcs:// knows the gateway by its authority, and shows who it is where it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from serving.client import Client, Tls
from tests.certificates import Authority
from tests.fakes import FakeModelServer, WireModelServer, full_house_contract
from tests.gateway_process import gateway_process, wait_until
from tests.grpc_gateway import grpc_gateway_process

HOUSE = {"rooms": 3, "age": 4}


@dataclass(frozen=True)
class Private:
    """Both doors, for clients that the authority vouches for, and such a client's files."""

    urls: dict[str, str]
    ours: Tls
    unknown: Tls  # knows the gateway, but shows nothing


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    folder: Path = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    door, client = authority.vouch("door", "DNS:localhost", "IP:127.0.0.1"), authority.vouch("client")
    files = {
        "ATELIER_TLS_CERT_FILE": str(door.cert),
        "ATELIER_TLS_KEY_FILE": str(door.key),
        "ATELIER_TLS_CLIENT_CA_FILE": str(authority.cert),
    }
    credentials = grpc.ssl_channel_credentials(
        authority.cert.read_bytes(), client.key.read_bytes(), client.cert.read_bytes()
    )
    ours = Tls(str(authority.cert), str(client.cert), str(client.key))
    server = WireModelServer(FakeModelServer(full_house_contract()))
    with (
        gateway_process(server.address, "houses", ATELIER_WORKERS="1", **files) as http,
        grpc_gateway_process(server.address, "houses", credentials, **files) as grpc_door,
    ):
        urls = {"https": f"https://localhost:{http.port}", "grpcs": f"grpcs://localhost:{grpc_door.port}"}
        with Client(urls["https"], tls=ours) as one:
            wait_until(lambda: one.readiness()[0], http.log)
        yield Private(urls, ours, Tls(str(authority.cert)))
    server.stop()


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_client_that_the_authority_vouches_for_is_answered(private: Private, scheme: str):
    with Client(private.urls[scheme], tls=private.ours) as client:
        assert client.predict("houses", [HOUSE]).predictions[0]["value"] == 7


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_client_that_does_not_know_the_authority_sends_nothing(private: Private, scheme: str):
    with Client(private.urls[scheme], timeout_s=10) as client, pytest.raises(OSError):  # noqa: PT011 (any of them)
        client.predict("houses", [HOUSE])


def test_a_client_that_shows_no_certificate_is_not_answered_over_grpc(private: Private):
    with Client(private.urls["grpcs"], 10, tls=private.unknown) as client, pytest.raises(OSError):  # noqa: PT011
        client.predict("houses", [HOUSE])
