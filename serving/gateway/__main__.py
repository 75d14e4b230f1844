"""`python -m serving.gateway http` (or `grpc`): settings → socket → door → signals.

workers.py builds the HTTP door's parts, grpc_server.py the gRPC door's.
"""

import argparse
import math
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping

from serving.environment import SettingError
from serving.gateway import tls
from serving.gateway.api_keys import ApiKeys, configured_keys, make_key
from serving.gateway.open_files import allow_connections
from serving.gateway.ports import PortTaken
from serving.gateway.settings import Settings
from serving.gateway.tracing import check_packages

DESCRIPTION = """\
Offer the models of a TensorFlow Serving compatible model server, over HTTP or over gRPC: one process group a door.

Settings are ATELIER_* environment variables; ATELIER_MODELS is required. SIGTERM finishes the requests in flight first.
"""
KEY_DESCRIPTION = """\
Make an API key. The first line is the key: it goes to the client, and is shown nowhere again. The second line, with its
hash, goes into the file that ATELIER_API_KEYS_FILE names; the gateway reads it when it starts.
"""


def main() -> int:
    """Check everything that can be checked, then serve until a signal."""
    arguments = make_parser().parse_args()
    if arguments.command == "key":
        return print_key(arguments.name, arguments.requests_per_second)
    try:
        check_packages(os.environ)
        settings = Settings.from_env(os.environ)
        tls.check(settings)
        DOORS[arguments.command](settings)
    except (SettingError, PortTaken) as error:
        print(f"python -m serving.gateway: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("python -m serving.gateway", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    for door in DOORS:
        commands.add_parser(door, help=f"the {door} door", description=DESCRIPTION)
    key = commands.add_parser("key", help="make an API key", description=KEY_DESCRIPTION)
    key.add_argument("name", help="whose it is; logs show it")
    key.add_argument("--requests-per-second", default="", help="how many it may send; without, as many as it likes")
    return parser


def print_key(name: str, requests_per_second: str) -> int:
    """A new key on one line, and on the next what the file of keys gets."""
    try:
        print(*make_key(name, requests_per_second), sep="\n")
    except ValueError as error:
        print(f"python -m serving.gateway key: {error}", file=sys.stderr)
        return 1
    return 0


def serve_http(settings: Settings) -> None:
    """The HTTP door, until a signal."""
    keys = configured_keys(settings)
    allow_connections(settings.max_connections)
    serve(settings, listen(settings), keys)


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
    if hasattr(socket, "TCP_DEFER_ACCEPT"):  # who says nothing is the kernel's, and takes no place of a worker
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, math.ceil(settings.header_timeout_s))
    try:
        listener.bind((settings.http_host, settings.http_port))
    except OSError as error:
        listener.close()
        variables = "ATELIER_HTTP_HOST, ATELIER_HTTP_PORT"
        raise PortTaken(settings.http_host, settings.http_port, variables, error.strerror) from error
    return listener


def serve(settings: Settings, listener: socket.socket, keys: ApiKeys | None) -> None:
    """Run the workers until a signal; gunicorn ends by SystemExit with the exit status."""
    metrics_folder = tempfile.mkdtemp(prefix="atelier-metrics-")
    # Read by prometheus_client when it is imported, so before anything that imports it.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
    from serving.gateway.workers import Workers

    main_process = os.getpid()
    try:
        Workers(settings, listener, metrics_folder, keys).run()
    finally:
        if os.getpid() == main_process:  # a worker ends by the same way, and the others still count
            shutil.rmtree(metrics_folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
