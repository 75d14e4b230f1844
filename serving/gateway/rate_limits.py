"""So many requests a second, counted together by all processes that are forked after this is made.

The generic cell rate algorithm (ITU-T I.371), a token bucket that remembers one number: when the bucket will be full
again. Two processes that count at the very same moment may count one request for both; no lock between processes is
worth that, for whoever is killed holding it stops all others.
"""

import mmap
import threading
import time
from collections.abc import Callable, Sequence

# Seconds' worth of requests that may come at once.
BURST_S = 1.0
DOUBLE_BYTES = 8


class RateLimits:
    """One bucket for each rate. Used by many threads."""

    def __init__(self, rates: Sequence[float | None], clock: Callable[[], float] | None = None) -> None:
        """`clock` is monotonic seconds, the same for all processes."""
        self._rates = rates
        self._clock = clock or time.monotonic  # CLOCK_MONOTONIC, the machine's
        self._full_at = memoryview(mmap.mmap(-1, max(1, len(rates)) * DOUBLE_BYTES)).cast("d")
        self._turn = threading.Lock()

    def take(self, index: int) -> float:
        """Take one request out of a bucket: 0, or the seconds until there is one."""
        rate = self._rates[index]
        if rate is None:
            return 0.0
        now = self._clock()
        with self._turn:
            full_at = max(self._full_at[index], now) + 1 / rate
            wait_s: float = full_at - now - max(BURST_S, 1 / rate)
            if wait_s > 1e-9:  # not a rounding error
                return wait_s
            self._full_at[index] = full_at
        return 0.0
