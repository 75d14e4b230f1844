"""`python -m serving.gateway http` (or `grpc`): settings → socket → door → signals.

workers.py builds the HTTP door's parts, grpc_server.py the gRPC door's.
"""

import argparse
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping

from serving.environment import SettingError
from serving.gateway.open_files import allow_connections
from serving.gateway.ports import PortTaken
from serving.gateway.settings import Settings

DESCRIPTION = """\
Offer the models of a TensorFlow Serving compatible model server, over HTTP or over gRPC: one process group a door.

Settings are ATELIER_* environment variables; ATELIER_MODELS is required. SIGTERM finishes the requests in flight first.
"""


def main() -> int:
    """Check everything that can be checked, then serve until a signal."""
    parser = argparse.ArgumentParser(
        "python -m serving.gateway",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("door", choices=DOORS)
    door = parser.parse_args().door
    try:
        DOORS[door](Settings.from_env(os.environ))
    except (SettingError, PortTaken) as error:
        print(f"python -m serving.gateway: {error}", file=sys.stderr)
        return 1
    return 0


def serve_http(settings: Settings) -> None:
    """The HTTP door, until a signal."""
    allow_connections(settings.max_connections)
    serve(settings, listen(settings))


def serve_grpc(settings: Settings) -> None:
    """The gRPC door, until a signal."""
    from serving.gateway import grpc_server

    grpc_server.serve(settings)


DOORS: Mapping[str, Callable[[Settings], None]] = {"http": serve_http, "grpc": serve_grpc}


def listen(settings: Settings) -> socket.socket:
    """Open the port here and not in gunicorn, which would try five times and then say nothing of the setting."""
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.http_host, settings.http_port))
    except OSError as error:
        listener.close()
        variables = "ATELIER_HTTP_HOST, ATELIER_HTTP_PORT"
        raise PortTaken(settings.http_host, settings.http_port, variables, error.strerror) from error
    return listener


def serve(settings: Settings, listener: socket.socket) -> None:
    """Run the workers until a signal; gunicorn ends by SystemExit with the exit status."""
    metrics_folder = tempfile.mkdtemp(prefix="atelier-metrics-")
    # Read by prometheus_client when it is imported, so before anything that imports it.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
    from serving.gateway.workers import Workers

    main_process = os.getpid()
    try:
        Workers(settings, listener, metrics_folder).run()
    finally:
        if os.getpid() == main_process:  # a worker ends by the same way, and the others still count
            shutil.rmtree(metrics_folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
