"""A TCP proxy that holds every answer back for a while: how a service looks that has become slow."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from tests.ports import free_port


@contextlib.contextmanager
def slowed(port: int, by_s: float) -> Iterator[int]:
    """The port of a proxy to a port of this machine."""
    listening = free_port()
    with socket.create_server(("127.0.0.1", listening)) as server:
        threading.Thread(target=_accept, args=(server, port, by_s), daemon=True).start()
        yield listening
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, port: int, by_s: float) -> None:
    with contextlib.suppress(OSError):  # the server was shut down
        while True:
            client, _ = server.accept()
            upstream = socket.create_connection(("127.0.0.1", port))
            for source, sink, wait_s in ((client, upstream, 0.0), (upstream, client, by_s)):
                threading.Thread(target=_pump, args=(source, sink, wait_s), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, wait_s: float) -> None:
    """Until either end closes."""
    with contextlib.suppress(OSError), source, sink:
        while received := source.recv(65536):
            time.sleep(wait_s)
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)
