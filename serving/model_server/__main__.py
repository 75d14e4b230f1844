"""`python -m serving.model_server`: takes tensorflow_model_server's flags, serves until SIGTERM or SIGINT."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from serving.model_server import flags as command_line

_logger = logging.getLogger("serving.model_server")

_FAILURE = 255  # `return -1` of the original's main


def main(arguments: Sequence[str]) -> int:
    """Run the server; return its exit status."""
    program = "python -m serving.model_server"
    try:
        parsed = command_line.parse(arguments)
    except command_line.MalformedFlag as error:
        print(error, file=sys.stderr)
        print(command_line.usage(program), end="")
        return _FAILURE
    if parsed.unknown[:1] == ["--help"]:
        print(command_line.usage(program), end="")
        return _FAILURE
    if parsed.flags.version:
        return _print_versions()
    if parsed.unknown:
        print(f"unknown argument: {parsed.unknown[0]}\n{command_line.usage(program)}", end="", flush=True)
    return _serve(parsed.flags)


def _print_versions() -> int:
    """The version of the API that is served, and of TensorFlow, without importing it."""
    from importlib.metadata import version

    print(f"TensorFlow ModelServer: {version('tensorflow-serving-api')}+atelier.python")
    print(f"TensorFlow Library: {version('tensorflow')}")
    return 0


def _serve(flags: command_line.Flags) -> int:
    _log_to_stderr()
    for name, value in command_line.without_effect(flags).items():
        _logger.warning("--%s=%s has no effect on this server", name, value)
    stop = threading.Event()
    _on_termination(stop.set)

    from serving.model_server.server import Server
    from serving.model_server.state_monitor import WaitCancelled
    from serving.model_server.status import StatusError

    try:
        server = Server(flags, stop)
        server.start()
    except WaitCancelled:
        return 0
    except StatusError as error:
        print(f"Failed to start server. Error: {error}", flush=True)
        return _FAILURE
    while not stop.wait(0.2):  # the kernel may give a signal to another thread, and the handler waits for this one
        pass
    _logger.info("Stopping: no new requests, %d s for those in flight", flags.drain_timeout_seconds)
    server.stop()
    return 0


def _on_termination(act: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: act())


def _log_to_stderr() -> None:
    """The shape of TensorFlow's log lines: time, level letter, place and line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s: %(levelname).1s %(name)s:%(lineno)d] %(message)s")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of the TF1 loader at every load


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    # Not sys.exit: a run that outlives the grace period keeps its thread, and Python would wait for it.
    os._exit(status)
