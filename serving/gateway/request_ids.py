"""The id that a request's answer, faults and log lines share. Knows no transport."""

import re
import secrets

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def request_id(asked: str) -> str:
    """The id a client asked for, where it will do, or a new one."""
    return asked if _ACCEPTED.fullmatch(asked) else secrets.token_hex(16)
