"""A gateway each of whose workers gets SIGTERM between its fork and its own signal handlers. Run as a module."""

import os
import signal
import sys

from serving.gateway.__main__ import main
from serving.gateway.workers import Workers

load_config = Workers.load_config


def with_a_signal(workers: Workers) -> None:
    load_config(workers)
    workers.cfg.set("post_fork", lambda _arbiter, _worker: os.kill(os.getpid(), signal.SIGTERM))


if __name__ == "__main__":
    Workers.load_config = with_a_signal  # type: ignore[method-assign]
    sys.exit(main())
