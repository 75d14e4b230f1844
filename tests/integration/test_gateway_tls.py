"""TLS at both doors and to the model server, with certificates made here, on real sockets."""

import http.client
import json
import signal
import socket
import ssl
from contextlib import ExitStack, closing, suppress

import grpc
import pytest

from serving.gateway.buffered_worker import RECEIVE_BYTES
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.certificates import Authority
from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import DEADLINE_S, gateway_process, wait_until
from tests.grpc_gateway import GrpcClient, grpc_gateway_process
from tests.raw_client import RawClient, head, post

PATH = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}
REGRESS = wire.RegressRequest(
    model="houses", instances=[wire.Instance(features=wire.Features(values={"rooms": 3, "age": 4}))]
)
NAMES = ("DNS:localhost", "IP:127.0.0.1")
THREADS = 4


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def door(authority):
    return authority.vouch("door", *NAMES)


@pytest.fixture
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.stop()


def settings(door, **more):
    few = {
        "ATELIER_WORKERS": "1",
        "ATELIER_THREADS": str(THREADS),
        "ATELIER_MAX_INSTANCES": "100000",
        "ATELIER_GRACE_PERIOD_S": "300",  # a connection that is forgotten holds up the end, and fails the test
    }
    return {**few, "ATELIER_TLS_CERT_FILE": str(door.cert), "ATELIER_TLS_KEY_FILE": str(door.key), **more}


def trusting(authority, client=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.cert)
    if client:
        context.load_cert_chain(client.cert, client.key)
    return context


def ask(port, context, method="POST", path=PATH, document=HOUSE):
    with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=context)) as connection:
        connection.request(method, path, json.dumps(document), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def is_ready(port, context) -> bool:
    with suppress(OSError):
        return ask(port, context, "GET", "/readyz")[0] == 200
    return False


class TlsClient(RawClient):
    """A RawClient that speaks TLS."""

    def __init__(self, port, context, **options):
        super().__init__(port, **options)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


def test_the_http_door_speaks_tls_and_no_client_holds_a_thread_by_it(server, authority, door):
    context = trusting(authority)
    with gateway_process(server.address, "houses", **settings(door)) as gateway, ExitStack() as stack:
        wait_until(lambda: is_ready(gateway.port, context), gateway.log)
        slow = [stack.enter_context(RawClient(gateway.port)) for _ in range(3 * THREADS)]
        for client in slow[::2]:
            client.send(b"\x16\x03\x01")  # the beginning of a handshake
        readers = [stack.enter_context(TlsClient(gateway.port, context, takes_little=True)) for _ in range(2 * THREADS)]
        for client in readers:
            client.send(post(PATH, {"instances": [[3, 4]] * 10_000}))
            client.wait_for_answer()  # one after the other: more at once than threads are refused

        status, answer = ask(gateway.port, context)
        assert (status, answer["predictions"][0]["value"]) == (200, 7)
        assert all(client.is_open() for client in slow)
        for client in readers:
            status, _, body = client.response()
            assert (status, len(json.loads(body)["predictions"])) == (200, 10_000)

        with TlsClient(gateway.port, context) as client:  # several requests and parts of them in one record
            client.send(post(PATH, HOUSE) * 3 + head("/livez", method="GET"))
            assert [client.response()[0] for _ in range(4)] == [200] * 4
            client.send(head(PATH, "Content-Length: 1000000000"))
            assert client.response()[0] == 413
            assert client.is_closed_by_the_server()

        with RawClient(gateway.port) as plain:
            plain.send(head("/livez", method="GET"))
            wait_until(lambda: not plain.is_open())
        old = ssl.create_default_context(cafile=authority.cert)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(gateway.port, old)
        assert ask(gateway.port, context)[0] == 200
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log()


def test_what_tls_holds_back_is_read_once_the_answer_is_out(server, authority, door):
    body_bytes = RECEIVE_BYTES - len(head(PATH, f"Content-Length: {RECEIVE_BYTES}"))
    first = head(PATH, f"Content-Length: {body_bytes}") + json.dumps(HOUSE).encode().ljust(body_bytes)
    assert len(first) == RECEIVE_BYTES
    context = trusting(authority)
    with gateway_process(server.address, "houses", **settings(door)) as gateway:
        wait_until(lambda: is_ready(gateway.port, context), gateway.log)
        (worker,) = gateway.workers()
        with TlsClient(gateway.port, context) as client:
            client.send(head("/livez", method="GET"))  # the handshake is over
            assert client.response()[0] == 200
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * RECEIVE_BYTES)
            worker.suspend()  # so that the first read takes all it can: the first request, and half of a record
            client.send(first[:100])
            client.send(first[100:] + head("/livez", method="GET"))
            worker.resume()

            assert [client.response()[0] for _ in range(2)] == [200, 200]


def test_over_tls_every_answer_tells_browsers_to_come_by_tls_again(server, authority, door):
    """From the loop, from the application, and to who is refused before either: the first two to the same byte."""
    context, told = trusting(authority), []
    requests = (post(PATH, HOUSE, "X-Request-Id: the-same"), head("/nowhere", method="GET"), b"nonsense\r\n\r\n")
    for coalesce in ("true", "false"):
        with gateway_process(server.address, "houses", **settings(door, ATELIER_COALESCE=coalesce)) as gateway:
            wait_until(lambda port=gateway.port: is_ready(port, context), gateway.log)
            with TlsClient(gateway.port, context) as client:
                for request, status in zip(requests, (200, 404, 400), strict=True):
                    client.send(request)
                    answer = client.response()
                    assert (answer[0], answer[1]["strict-transport-security"]) == (status, "max-age=31536000")
                    told.append(([field for field in answer[1].items() if field[0] != "date"], answer[2]))

    assert told[0] == told[3]


def test_where_clients_must_show_a_certificate_only_probes_come_without(tmp_path, server, authority, door):
    client = authority.vouch("client")
    stranger = Authority(tmp_path, "stranger").vouch("nobody")
    mutual = settings(door, ATELIER_TLS_CLIENT_CA_FILE=str(authority.cert))
    with gateway_process(server.address, "houses", **mutual) as gateway:
        wait_until(lambda: is_ready(gateway.port, trusting(authority)), gateway.log)

        status, problem = ask(gateway.port, trusting(authority))
        assert (status, problem["type"]) == (403, "urn:atelier:problem:certificate-required")
        assert ask(gateway.port, trusting(authority, client))[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(gateway.port, trusting(authority, stranger))


def served_certificate(port) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=DEADLINE_S)


def test_sighup_takes_up_new_certificates_and_a_broken_one_changes_nothing(server, authority, door):
    context = trusting(authority)
    with gateway_process(server.address, "houses", **settings(door)) as gateway:
        wait_until(lambda: is_ready(gateway.port, context), gateway.log)
        first = served_certificate(gateway.port)

        renewed = authority.vouch("door", *NAMES)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: served_certificate(gateway.port) != first, gateway.log)
        assert ask(gateway.port, context)[0] == 200

        renewed.key.write_text("half a file")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "ATELIER_TLS_KEY_FILE" in gateway.log(), gateway.log)
        assert ask(gateway.port, context)[0] == 200


def channel_credentials(authority, client=None) -> grpc.ChannelCredentials:
    pair = (client.key.read_bytes(), client.cert.read_bytes()) if client else (None, None)
    return grpc.ssl_channel_credentials(authority.cert.read_bytes(), *pair)


def test_the_grpc_door_speaks_tls_asks_for_certificates_and_renews_its_own(server, authority, door):
    known = channel_credentials(authority, authority.vouch("client"))
    mutual = settings(door, ATELIER_TLS_CLIENT_CA_FILE=str(authority.cert))
    with grpc_gateway_process(server.address, "houses", known, **mutual) as gateway:
        assert gateway.client.call("Regress", REGRESS).predictions[0].value == 7

        stranger = GrpcClient(gateway.port, channel_credentials(authority))
        assert stranger.fault("Regress", REGRESS).code is grpc.StatusCode.UNAVAILABLE
        stranger.channel.close()

        gateway.process.send_signal(signal.SIGHUP)  # not needed, and no harm
        authority.vouch("door", *NAMES)
        again = GrpcClient(gateway.port, known)
        assert again.call("Regress", REGRESS).predictions
        again.channel.close()
        wait_until(lambda: "certificates were renewed" in gateway.log(), gateway.log)


@pytest.mark.parametrize("is_mutual", [False, True])
def test_the_model_server_is_reached_over_tls_and_must_be_who_it_should(authority, is_mutual):
    pair, client = authority.vouch("models.internal"), authority.vouch("gateway")
    credentials = grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.cert.read_bytes())],
        authority.cert.read_bytes() if is_mutual else None,
        is_mutual,
    )
    server = WireModelServer(FakeModelServer(house_contract()), credentials=credentials)
    trust = {"ATELIER_WORKERS": "1", "ATELIER_MODEL_SERVER_CA_FILE": str(authority.cert)}
    named = {**trust, "ATELIER_MODEL_SERVER_NAME": "models.internal"}
    shown = {"ATELIER_MODEL_SERVER_CERT_FILE": str(client.cert), "ATELIER_MODEL_SERVER_KEY_FILE": str(client.key)}
    with gateway_process(server.address, "houses", **named, **(shown if is_mutual else {})) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        assert gateway.request("POST", PATH, HOUSE).status == 200
    with gateway_process(server.address, "houses", **(named if is_mutual else trust)) as gateway:
        reply = gateway.request("POST", PATH, HOUSE)
        assert (reply.status, reply.json["type"]) == (503, "urn:atelier:problem:model-server-unreachable")
    server.stop()


@pytest.mark.parametrize("command", ["http", "grpc"])
def test_a_certificate_that_is_not_there_stops_the_start_in_one_line(server, door, command):
    door.key.unlink()
    with gateway_process(
        server.address, "houses", command=("-m", "serving.gateway", command), **settings(door)
    ) as gateway:
        assert gateway.process.wait(DEADLINE_S) == 1
        [line] = gateway.log().splitlines()
        assert line.startswith("python -m serving.gateway: ATELIER_TLS_KEY_FILE: ")
