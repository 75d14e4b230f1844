"""The Date header of answers that gunicorn does not write."""

import time
from email.utils import formatdate
from functools import lru_cache


def http_date() -> str:
    """The time as HTTP has it; made once a second."""
    return _date_of(int(time.time()))


@lru_cache(maxsize=1)
def _date_of(second: int) -> str:
    return formatdate(second, usegmt=True)
