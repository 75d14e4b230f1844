"""Whatever becomes of one call over HTTP, the next one has a connection of which nothing is used."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from serving.client import Client

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"models":[]}'
MODELS = {"models": []}
HOUSE = {"rooms": 3, "age": 4}

Server = Callable[[socket.socket], None]


@contextmanager
def served(*connections: Server) -> Iterator[str]:
    """The URL of a server that treats its first connection so, its second so, and closes each after that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for treat in connections:
                connection, _ = listener.accept()
                with connection:
                    treat(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def answer_once(connection: socket.socket) -> None:
    assert head(connection).startswith(b"GET /v1/models HTTP/1.1\r\n")
    connection.sendall(ANSWER)


def answer_twice(connection: socket.socket) -> None:
    answer_once(connection)
    answer_once(connection)


def wait_until_left(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def head(connection: socket.socket) -> bytes:
    """A request without a body."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += connection.recv(65536)
    return text


def test_an_idle_connection_that_was_closed_is_opened_anew():
    with served(answer_once, answer_once) as url, Client(url) as client:
        assert [client.models(), client.models()] == [MODELS, MODELS]


def test_a_call_that_fails_on_the_second_connection_too_leaves_nothing_to_the_next():
    with served(answer_once, wait_until_left, answer_twice) as url, Client(url) as client:
        assert client.models() == MODELS
        with pytest.raises(TimeoutError):
            client.predict("houses", [HOUSE], timeout_s=0.2)
        assert [client.models(), client.models()] == [MODELS, MODELS]


def test_a_header_that_cannot_be_sent_leaves_nothing_to_the_next_call():
    with served(answer_once) as url, Client(url) as client:
        with pytest.raises(ValueError, match="Invalid header value"):
            client.predict("houses", [HOUSE], request_id="a\nb")
        assert client.models() == MODELS
