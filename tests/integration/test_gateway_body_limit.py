"""A refusal reaches the client that is still sending: over http.client, requests and curl, sized and chunked."""

import http.client
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import DEADLINE_S, GatewayProcess, gateway_process, wait_until

LIMIT = 1024 * 1024
TOO_MUCH = LIMIT + 10 * 1000 * 1000
PATH = "/v1/models/houses:regress"


@pytest.fixture(scope="module")
def gateway():
    server = WireModelServer(FakeModelServer(house_contract()))
    with gateway_process(server.address, "houses", ATELIER_MAX_BODY_BYTES=str(LIMIT)) as running:
        wait_until(running.is_ready, running.log)
        yield running
    server.stop()


def pieces() -> Iterator[bytes]:
    for _ in range(TOO_MUCH // 65536 + 1):
        yield b" " * 65536


# Also refused before the body is looked at: an unknown path and a wrong method.
REFUSALS = [("POST", PATH, 413), ("POST", "/nowhere", 404), ("POST", "/v1/models", 405)]


@pytest.mark.parametrize(("method", "path", "status"), REFUSALS)
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_http_client_reads_the_refusal(gateway: GatewayProcess, method, path, status, connection, chunked):
    headers = {"Content-Type": "application/json", "Connection": connection}
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)) as client:
        client.request(method, path, pieces() if chunked else b" " * TOO_MUCH, headers)
        response = client.getresponse()

        assert response.status == status
        assert b'"status":%d' % status in response.read()


def test_the_connection_serves_on_after_a_refusal(gateway: GatewayProcess):
    with requests.Session() as session:
        url = f"http://127.0.0.1:{gateway.port}{PATH}"
        refused = session.post(url, data=b" " * TOO_MUCH, headers={"Content-Type": "application/json"})
        chunked = session.post(url, data=pieces(), headers={"Content-Type": "application/json"})
        good = session.post(url, json={"instances": [[3, 4]]})

    assert (refused.status_code, chunked.status_code, good.status_code) == (413, 413, 200)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
@pytest.mark.parametrize("extra", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"], ["--http1.0"]])
def test_curl_reads_the_refusal(gateway: GatewayProcess, tmp_path, extra):
    body = tmp_path / "body"
    body.write_bytes(b" " * TOO_MUCH)
    url = f"http://127.0.0.1:{gateway.port}{PATH}"
    command = ["curl", "-sS", "-w", "%{http_code}", "-H", "Content-Type: application/json", "--data-binary", f"@{body}"]

    done = subprocess.run([*command, *extra, url], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("413")
    assert "urn:atelier:problem:body-too-large" in done.stdout


def test_a_client_that_goes_away_in_the_middle_of_its_body_harms_nobody(gateway: GatewayProcess):
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        client.sendall(head.encode() + b'{"inst')

    assert gateway.request("POST", PATH, {"instances": [[3, 4]]}).status == 200
    assert "Traceback" not in gateway.log()
