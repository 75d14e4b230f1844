"""Ports for the servers that tests start."""

import itertools
import os
import socket

# Below the range from which the kernel takes clients' ports (32768 on, on Linux): else a connection made meanwhile may
# have it when the server at last opens it. Test runs beside each other start in different places.
_FIRST, _LAST = 10_000, 29_999
_candidates = itertools.cycle(range(_FIRST, _LAST))
for _ in range(os.getpid() * 37 % (_LAST - _FIRST)):
    next(_candidates)


def free_port() -> int:
    """A port that nobody listens on now, and that was not given before."""
    for port in itertools.islice(_candidates, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
