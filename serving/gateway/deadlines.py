"""How long an HTTP request may take: what the client asks in a header, never more than the settings allow.

gRPC has its own header for this (grpc-timeout), which its library reads.
"""

import re
from contextvars import ContextVar

from werkzeug.exceptions import BadRequest

HEADER = "X-Request-Timeout"
# Seconds that the request this thread answers has waited for it; the worker knows.
waited_s: ContextVar[float] = ContextVar("waited_s", default=0.0)
# Digits and perhaps a fraction. Not float(), which also takes nan, 1e3 and 1_000.
SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def time_allowed_s(asked: str | None, most_s: float) -> float:
    """Seconds from the request's arrival to its answer.

    Args:
        asked: the header's value, None if the client sent none.
        most_s: what the settings allow.
    Raises:
        BadRequest: it is no number of seconds above 0.
    """
    asked_s = time_asked_s(asked)
    return most_s if asked_s is None else min(asked_s, most_s)


def time_asked_s(asked: str | None) -> float | None:
    """The header's value as seconds.

    Raises:
        BadRequest: it is no number of seconds above 0.
    """
    if asked is None:
        return None
    if not SECONDS.fullmatch(asked) or float(asked) == 0:
        raise BadRequest(f"{HEADER}: expected seconds above 0 in decimal digits, like 2 or 0.25")
    return float(asked)
