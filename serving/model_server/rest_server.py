"""Runs the REST application: waitress on a thread, and a stop that lets requests in flight finish."""

import resource
import socket
import threading
import time
from typing import Any

import waitress.server
from waitress import wasyncore

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 (as TensorFlow Serving)
_POLL_S = 0.02  # how often the drain looks for the last reply to leave

# No bound on bodies in TensorFlow Serving; waitress needs a number.
_MAX_BODY_BYTES = 2**31 - 1
_MANY = 2**20  # connections, where the system has no limit on open files


class RestServer:
    """One listening port."""

    def __init__(self, application: Any, address: str, port: int, num_threads: int) -> None:
        """Open the port (0: any) on an address (0.0.0.0: all, of IPv6 too); raises OSError if it cannot be had."""
        self._map: dict[int, Any] = {}
        self._server = waitress.server.create_server(
            application,
            map=self._map,
            sockets=[_listen(address, port)],
            threads=num_threads,
            ident=None,
            max_request_body_size=_MAX_BODY_BYTES,
            connection_limit=_connection_limit(),
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
        )
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, name="rest-server", daemon=True)
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Take no new connection, wait for replies that are under way, then close."""
        self._server.accepting = False
        self._server.pull_trigger()
        deadline = time.monotonic() + grace_s
        while self._is_busy() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self._server.task_dispatcher.shutdown(timeout=0)
        wasyncore.close_all(self._map, ignore_all=True)
        self._thread.join(timeout=1)

    def _is_busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def _connection_limit() -> int:
    """Half the files that the process may open: TensorFlow Serving has no other limit, and the rest needs some too."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if files in (-1, resource.RLIM_INFINITY) else files // 2


def _listen(address: str, port: int) -> socket.socket:
    if address == ALL_ADDRESSES and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
