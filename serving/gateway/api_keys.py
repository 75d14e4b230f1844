"""API keys: who may call, and how often. Knows no transport; only hashes of keys are kept, and only names are logged.

A key is 256 random bits, so one SHA-256 is enough: there is no dictionary to try. (A slow hash would be for passwords.)
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from serving.environment import SettingError
from serving.errors import TooManyRequests, Unauthenticated
from serving.gateway.rate_limits import RateLimits
from serving.gateway.settings import Settings

# Whose key the request of this thread bears, where that was looked up and counted before it came to a thread.
admitted_key: ContextVar[str] = ContextVar("admitted_key", default="")
# So that a scanner for leaked secrets can tell one.
PREFIX = "atelier_"
KEY_BYTES = 32
LINE = re.compile(
    r"(?P<name>[\w.@-]{1,64}) sha256:(?P<hash>[0-9a-f]{64})(?: (?P<rate>[0-9]{1,6}(?:\.[0-9]{1,6})?))?", re.ASCII
)


@dataclass(frozen=True)
class ApiKey:
    """One client's."""

    name: str
    hash: bytes  # SHA-256
    requests_per_second: float | None  # None: as many as it likes


class ApiKeys:
    """The keys that are taken. Made before the workers are forked, who then share the limits."""

    def __init__(self, keys: tuple[ApiKey, ...], clock: Callable[[], float] | None = None) -> None:
        self._keys = keys
        self._limits = RateLimits([key.requests_per_second for key in keys], clock)

    def admit(self, presented: str | None) -> str:
        """The name of whose key this is.

        Raises:
            Unauthenticated: it is no key of ours, or there is none.
            TooManyRequests: it is, but came too often.
        """
        if presented is None:
            raise Unauthenticated("this gateway asks for an API key, and none was sent")
        index = self.find(presented)
        if index is None:
            raise Unauthenticated("the API key that was sent is not one of this gateway's")
        return self.take(index)

    def find(self, presented: str) -> int | None:
        """Which of our keys this is. Each is compared, in constant time, so that the time tells nothing."""
        presented_hash = hashlib.sha256(presented.encode(errors="replace")).digest()
        matches = [hmac.compare_digest(key.hash, presented_hash) for key in self._keys]
        return matches.index(True) if any(matches) else None

    def take(self, index: int) -> str:
        """Count a request of that key's; whose it is.

        Raises:
            TooManyRequests: it came too often.
        """
        wait_s = self._limits.take(index)
        if wait_s > 0:
            raise TooManyRequests(self._keys[index].requests_per_second or 0, wait_s)
        return self._keys[index].name


def presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """The key out of `Authorization: Bearer KEY` or `X-API-Key: KEY`."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else x_api_key


def make_key(name: str, requests_per_second: str = "") -> tuple[str, str]:
    """A new key, and its line for the file.

    Raises:
        ValueError: the name or the rate has no place in such a line.
    """
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    line = f"{name} sha256:{hashlib.sha256(key.encode()).hexdigest()} {requests_per_second}".strip()
    if not LINE.fullmatch(line):
        raise ValueError("expected a name of 1 to 64 letters, digits or _.@- and perhaps requests per second, like 50")
    return key, line


def configured_keys(settings: Settings) -> ApiKeys | None:
    """The keys that the settings name, or None where they name no file; SettingError where it is no good."""
    return ApiKeys(read_keys(settings.api_keys_file)) if settings.api_keys_file else None


def read_keys(file: str) -> tuple[ApiKey, ...]:
    """The keys of a file: on each line a name, the key's hash, and perhaps how many requests a second it may send.

    Raises:
        SettingError: it cannot be read, a line is none, or a name comes twice. The message repeats no line.
    """
    try:
        lines = Path(file).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"ATELIER_API_KEYS_FILE: {file} cannot be read: {error}") from error
    texts = {number: line.strip() for number, line in enumerate(lines, 1)}
    keys = tuple(_key(file, number, text) for number, text in texts.items() if text and not text.startswith("#"))
    if not keys or len({key.name for key in keys}) < len(keys):
        raise SettingError(f"ATELIER_API_KEYS_FILE: expected one key or more in {file}, each of another name")
    return keys


def _key(file: str, number: int, text: str) -> ApiKey:
    match = LINE.fullmatch(text)
    rate = None if match is None or match["rate"] is None else float(match["rate"])
    if match is None or rate == 0:
        raise SettingError(
            f"ATELIER_API_KEYS_FILE: expected `name sha256:hash [requests-per-second]` in line {number} of {file}; "
            "`python -m serving.gateway key NAME` makes one"
        )
    return ApiKey(match["name"], bytes.fromhex(match["hash"]), rate)
