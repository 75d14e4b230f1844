"""What a load test may be told beside Locust's own options. Knows no Locust."""

import math
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from tests.load import objectives
from tests.load.shapes import LEVELS


def add_to(parser: Any) -> None:
    """Add them to a ConfigArgParse parser; each may also be set in the environment, by the name of its variable."""
    add = parser.add_argument
    add("--grpc-address", env_var="LOAD_GRPC_ADDRESS", default="127.0.0.1:8081", help="the gRPC door, host:port")
    add("--api-key", env_var="LOAD_API_KEY", default="", help="what the gateway asks for, if it asks for one")
    add("--shape", env_var="LOAD_SHAPE", choices=("", *LEVELS), default="", help="how --users come and go")
    add(
        "--loop",
        env_var="LOAD_LOOP",
        choices=("closed", "open"),
        default="closed",
        help="open: nobody waits for answers",
    )
    add("--rate", env_var="LOAD_RATE", type=rate, default=10.0, help="requests a second of each user (closed: at most)")
    add(
        "--objectives",
        env_var="LOAD_OBJECTIVES",
        type=objectives_file,
        default=str(objectives.FILE),
        help="what must hold: a TOML file",
    )


def rate(text: str) -> float:
    try:
        given = float(text)
    except ValueError:
        given = math.nan
    if not 0 < given < math.inf:
        raise ArgumentTypeError(f"expected a number above 0, got {text}")
    return given


def objectives_file(text: str) -> str:
    try:
        objectives.read(Path(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return text
