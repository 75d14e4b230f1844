"""When to ask the model server again: gRPC's own rules (gRFC A6), kept here so that it can be counted.

Knows no transport.
"""

import random
import threading

ATTEMPTS = 3  # of one call
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 0.5  # the first is a reconnect's, too
# A failure takes a token, a success gives a tenth back, and at half of them or below nothing is tried again: a model
# server in trouble gets a tenth more calls, not three times as many.
MOST_TOKENS, TOKENS_BACK = 10.0, 0.1


class RetryBudget:
    """One a model server, used by many threads."""

    def __init__(self) -> None:
        self._tokens = MOST_TOKENS
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """A call was answered."""
        if self._tokens < MOST_TOKENS:
            with self._lock:
                self._tokens = min(MOST_TOKENS, self._tokens + TOKENS_BACK)

    def pause_s(self, attempt: int, time_left_s: float) -> float | None:
        """A call failed that may be tried again: how long to wait first, or None where it must not be.

        Args:
            attempt: that failed, the first is 1.
        """
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            may_retry = self._tokens > MOST_TOKENS / 2
        pause_s = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt - 1)))  # noqa: S311 (no secret)
        return pause_s if may_retry and attempt < ATTEMPTS and pause_s < time_left_s else None
