"""`python -m tests.load`: Locust for half a minute, against the gateway that runs here, or one started for it.

Further words go to Locust: `python -m tests.load --users 60 --run-time 5m --shape steps --html report.html`. With
`--host` it is the gateway there, which must be up.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from configargparse import ArgumentParser

from serving.client import Client, ProblemError
from serving.gateway.settings import Settings
from tests.load import options

# Where `python -m serving` listens, by the same variables.
URL = f"http://127.0.0.1:{os.environ.get('ATELIER_HTTP_PORT', Settings.http_port)}"
GRPC_ADDRESS = f"127.0.0.1:{os.environ.get('ATELIER_GRPC_PORT', Settings.grpc_port)}"
DEFAULTS = ["--users", "30", "--spawn-rate", "10", "--run-time", "30s"]
HELP = {"-h", "--help"}
ONLY_TELL = HELP | {"-V", "--version", "-l", "--list"}  # these ask nobody
START_S = 300


def is_ready(url: str) -> bool:
    try:
        with Client(url, timeout_s=5) as client:
            return client.readiness()[0]
    except (OSError, ProblemError):
        return False


@contextmanager
def stack() -> Iterator[None]:
    """What runs here already, else `python -m serving` for as long as this lasts."""
    if is_ready(URL):
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "serving"])
    try:
        until = time.monotonic() + START_S
        while not is_ready(URL):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit("tests.load: python -m serving does not come up")
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(120)


def main() -> int:
    words, parser = sys.argv[1:], make_parser()
    if ONLY_TELL.intersection(words):
        if HELP.intersection(words):
            print(parser.format_help(), flush=True)  # Locust's, which follows, is without ours
        return locust(URL, words)
    asked, _ = parser.parse_known_args(words)  # so that what is wrong with ours is said before anything is started
    if asked.host is None:
        with stack():
            return locust(URL, ["--grpc-address", GRPC_ADDRESS, *words])
    if not is_ready(asked.host):
        sys.exit(f"tests.load: no gateway is ready at {asked.host}")
    return locust(asked.host, words)


def make_parser() -> ArgumentParser:
    """Of the options that are not Locust's alone."""
    parser = ArgumentParser("python -m tests.load", usage="%(prog)s [options]", add_help=False, allow_abbrev=False)
    parser.add_argument("-H", "--host", default=None, help="the gateway there, not the one that runs here")
    options.add_to(parser)
    return parser


def locust(url: str, words: list[str]) -> int:
    command = [sys.executable, "-m", "locust", "-f", "tests/load/locustfile.py", "--headless", "--host", url]
    return subprocess.run([*command, "--only-summary", *DEFAULTS, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
