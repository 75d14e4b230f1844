"""`python -m serving.gateway http`: settings → socket → workers → signals. workers.py builds the parts and the door."""

import argparse
import os
import shutil
import socket
import sys
import tempfile

from serving.environment import SettingError
from serving.gateway.settings import Settings

DESCRIPTION = """\
Offer the models of a TensorFlow Serving compatible model server over HTTP.

Settings are ATELIER_* environment variables; ATELIER_MODELS is required. SIGTERM finishes the requests in flight first.
"""


class PortTaken(Exception):
    """The gateway cannot listen where it should."""


def main() -> int:
    """Check everything that can be checked, then serve until a signal."""
    parser = argparse.ArgumentParser(
        "python -m serving.gateway",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("door", choices=["http"])
    parser.parse_args()
    try:
        settings = Settings.from_env(os.environ)
        listener = listen(settings)
    except (SettingError, PortTaken) as error:
        print(f"python -m serving.gateway: {error}", file=sys.stderr)
        return 1
    serve(settings, listener)
    return 0


def listen(settings: Settings) -> socket.socket:
    """Open the port here and not in gunicorn, which would try five times and then say nothing of the setting."""
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.http_host, settings.http_port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"cannot listen on {settings.http_host} port {settings.http_port} (ATELIER_HTTP_HOST, ATELIER_HTTP_PORT): "
            f"{error.strerror}"
        ) from error
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
