"""What a REST request is for, as the routes compare it: path, query and fragment, not decoded."""

import re
from typing import Any

_ORIGIN = re.compile(r"(?i:https?)://[^/?#]*")


def target_of(environ: dict[str, Any]) -> str:
    """The request's target. Whoever believes it speaks to a proxy puts scheme and host first (RFC 9112, 3.2.2)."""
    target: str = environ["REQUEST_URI"]
    origin = _ORIGIN.match(target)
    return target[origin.end() :] if origin else target
